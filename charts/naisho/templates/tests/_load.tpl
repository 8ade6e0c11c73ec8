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
      command: [naisho, --network, /etc/naisho/network/network.json{{ if not .Values.load.reportClaim }}, --json{{ end }}, load]
      args:
        - --rate
        - {{ .Values.load.rate | quote }}
        - --for
        - {{ .Values.load.duration | quote }}
        {{- if .Values.nats.enabled }}
        {{- range $number := until (int .Values.nats.replicas) }}
        - --metrics
        - http://{{ include "naisho.natsHost" (list $ $number) }}:{{ include "naisho.port" (list $ "nats" "monitor") }}/varz
        {{- end }}
        {{- end }}
        {{- if .Values.load.reportClaim }}
        - --report
        - /report/load.html
        {{- end }}
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
        {{- if .Values.load.reportClaim }}
        - name: report
          mountPath: /report
        {{- end }}
  volumes:
    {{- include "naisho.clientVolumes" . | nindent 4 }}
    {{- with .Values.load.reportClaim }}
    - name: report
      persistentVolumeClaim:
        claimName: {{ . }}
    {{- end }}
{{- end -}}
