{{/* The NodePool. What is empty or null is left out: it is the resource's default, or somebody else's. */}}
{{- define "naisho.nodePool" -}}
{{- $pool := .Values.pool -}}
apiVersion: naisho.dev/v1alpha1
kind: NodePool
metadata:
  name: {{ include "naisho.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "naisho.selector" (list . "node") | nindent 4 }}
    app.kubernetes.io/part-of: naisho
    app.kubernetes.io/managed-by: {{ eq $pool.madeBy "helm" | ternary .Release.Service "naisho-operator" }}
spec:
  {{- if not (or (kindIs "invalid" $pool.replicas) $pool.autoscaling.enabled) }}
  replicas: {{ $pool.replicas }}
  {{- end }}
  allowUnsafe: {{ $pool.allowUnsafe }}
  family: {{ $pool.family | quote }}
  country: {{ $pool.country | quote }}
  {{- with $pool.image }}
  image: {{ . | quote }}
  {{- end }}
  storage:
    size: {{ $pool.storage.size }}
    {{- with $pool.storage.className }}
    className: {{ . }}
    {{- end }}
  exposure:
    type: {{ $pool.exposure.type }}
    {{- if eq $pool.exposure.type "HostPort" }}
    firstPort: {{ $pool.exposure.firstPort }}
    {{- end }}
    {{- with $pool.exposure.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  resources:
    {{- toYaml $pool.resources | nindent 4 }}
  scheduling:
    topologyKey: {{ $pool.scheduling.topologyKey }}
    whenUnsatisfiable: {{ $pool.scheduling.whenUnsatisfiable }}
    {{- with $pool.scheduling.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $pool.scheduling.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $pool.scheduling.priorityClassName }}
    priorityClassName: {{ . }}
    {{- end }}
  {{- if or $pool.settings.onion $pool.settings.swarm }}
  settings:
    {{- range $service := list "onion" "swarm" }}
    {{- with index $pool.settings $service }}
    {{ $service }}:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- end }}
  {{- end }}
  podDisruptionBudgets: {{ $pool.podDisruptionBudgets }}
  paused: {{ $pool.paused }}
  {{- if $pool.autoscaling.enabled }}
  autoscaling:
    {{- toYaml $pool.autoscaling | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Not empty if the operator makes the NodePool. */}}
{{- define "naisho.poolByOperator" -}}
{{- if and .Values.pool.enabled (eq .Values.pool.madeBy "operator") }}yes{{ end -}}
{{- end -}}
