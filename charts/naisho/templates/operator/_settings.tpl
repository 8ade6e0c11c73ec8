{{/* The operator's settings file. */}}
{{- define "naisho.operatorSettings" -}}
# Of the release {{ .Release.Name }}; rendered by its chart.
install = {{ include "naisho.fullname" . | toJson }}
release = {{ .Release.Name | toJson }}
image = {{ include "naisho.image" . | toJson }}
image_pull_policy = {{ .Values.image.pullPolicy | toJson }}
image_pull_secrets = {{ .Values.image.pullSecrets | toJson }}
network_name = {{ .Values.network.name | toJson }}
{{- with .Values.network.id }}
network_id = {{ toJson . }}
{{- end }}
seeds = {{ .Values.network.seeds | toJson }}
{{- if include "naisho.poolByOperator" . }}
pool_file = "/etc/naisho/nodepool.json"
{{- end }}
telemetry = "0.0.0.0:{{ include "naisho.port" (list . "operator" "metrics") }}"
cluster_domain = {{ .Values.clusterDomain | toJson }}

[nats]
servers = {{ include "naisho.natsServers" . }}
replicas = {{ include "naisho.streamReplicas" . }}
managed = {{ .Values.nats.enabled }}
{{- if not .Values.nats.enabled }}
account_secret = {{ .Values.nats.external.accountSecret | toJson }}
{{- end }}

[certificates]
self_made = {{ and .Values.nats.enabled (not .Values.certificates.certManager.enabled) }}

[streams]
{{- range $stream, $size := .Values.streams }}
{{ $stream }} = "{{ $size }}B"
{{- end }}
{{- $said := dict -}}
{{- range $name, $value := .Values.membership }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $said (snakecase $name) $value }}{{ end }}{{ end }}
{{- with $said }}

[membership]
{{- range $name, $value := . }}
{{ $name }} = {{ kindIs "string" $value | ternary (toJson $value) (int64 $value) }}
{{- end }}
{{- end }}
{{- end -}}
