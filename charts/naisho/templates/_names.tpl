{{/* What everything is called: R of docs/adr/0014. */}}
{{- define "naisho.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains "naisho" .Release.Name -}}
{{ .Release.Name }}
{{- else -}}
{{ .Release.Name }}-naisho
{{- end -}}
{{- end -}}

{{/*
Labels by which pods of one component are chosen; the operator gives the same to what it makes. Argument: list of root and
component.
*/}}
{{- define "naisho.selector" -}}
app.kubernetes.io/name: naisho
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/*
Labels of every object. No version stands among them: pods carry them too, and a new chart with the same content must not
restart anything. Argument: list of root and component.
*/}}
{{- define "naisho.labels" -}}
{{ include "naisho.selector" . }}
app.kubernetes.io/part-of: naisho
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
{{- end -}}

{{/* The one image of all containers. */}}
{{- define "naisho.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{/* Number of a port. Argument: list of root, component and the port's name. */}}
{{- define "naisho.port" -}}
{{- $table := (index . 0).Files.Get "talks.yaml" | fromYaml -}}
{{ index $table.ports (index . 1) (index . 2) | int }}
{{- end -}}

{{/* The service account of the operator, the only one that has rights. */}}
{{- define "naisho.serviceAccount" -}}
{{ .Values.operator.serviceAccount.name | default (printf "%s-operator" (include "naisho.fullname" .)) }}
{{- end -}}

{{/* Where NATS is: a JSON list of URLs. */}}
{{- define "naisho.natsServers" -}}
{{- if .Values.nats.enabled -}}
{{- $servers := list -}}
{{- range $number := until (int .Values.nats.replicas) -}}
{{- $servers = append $servers (printf "tls://%s:%s" (include "naisho.natsHost" (list $ $number)) (include "naisho.port" (list $ "nats" "client"))) -}}
{{- end -}}
{{ $servers | toJson }}
{{- else -}}
{{ .Values.nats.external.servers | toJson }}
{{- end -}}
{{- end -}}

{{/* Name of one bundled NATS server. Argument: list of root and its number. */}}
{{- define "naisho.natsHost" -}}
{{- $name := include "naisho.fullname" (index . 0) -}}
{{ $name }}-nats-{{ index . 1 }}.{{ $name }}-nats.{{ (index . 0).Release.Namespace }}.svc
{{- end -}}

{{/* Copies of each stream. */}}
{{- define "naisho.streamReplicas" -}}
{{- if .Values.nats.enabled -}}{{ min 3 .Values.nats.replicas }}{{- else -}}{{ .Values.nats.external.replicas | int }}{{- end -}}
{{- end -}}
