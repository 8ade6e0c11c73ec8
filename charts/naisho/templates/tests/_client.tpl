{{/* What the pods have that are clients of the network: the network file, and a folder in memory. */}}
{{- define "naisho.clientEnvironment" -}}
- name: HOME
  value: /tmp
- name: NAISHO_DATA_DIR
  value: /tmp/naisho
{{- end -}}

{{- define "naisho.clientMounts" -}}
- name: network
  mountPath: /etc/naisho/network
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- end -}}

{{- define "naisho.clientVolumes" -}}
- name: network
  configMap:
    name: {{ include "naisho.fullname" . }}-network
    items:
      - {key: network.json, path: network.json}
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 256Mi
{{- end -}}
