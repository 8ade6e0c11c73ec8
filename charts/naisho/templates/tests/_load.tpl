{{/* The pod of the load. */}}
{{- define "naisho.loadPod" -}}
metadata:
  {{- include "naisho.podMetadata" (list . "load" dict) | nindent 2 }}
spec:
  {{- include "naisho.pod" . | nindent 2 }}
  restartPolicy: Never
  containers:
    - name: load
      {{- include "naisho.containerImage" . | nindent 6 }}
      command:
        - naisho
        - load
        - --network
        - /etc/naisho/network/network.json
        - --rate
        - {{ .Values.load.rate | quote }}
        - --duration
        - {{ .Values.load.duration | quote }}
        {{- range .Values.load.arguments }}
        - {{ . | quote }}
        {{- end }}
      env:
        {{- include "naisho.clientEnvironment" . | nindent 8 }}
      resources:
        {{- toYaml .Values.load.resources | nindent 8 }}
      {{- include "naisho.containerSecurity" . | nindent 6 }}
      volumeMounts:
        {{- include "naisho.clientMounts" . | nindent 8 }}
  volumes:
    {{- include "naisho.clientVolumes" . | nindent 4 }}
{{- end -}}
