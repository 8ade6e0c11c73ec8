{{/* Further settings of the custodian. The key period is the nodes': a key is erased when its period is over. */}}
{{- define "naisho.custodianSettings" -}}
{{- $period := index .Values.pool.settings.swarm "key_period" -}}
{{- merge (dict) .Values.custodian.settings (empty $period | ternary dict (dict "key_period" $period)) | toJson -}}
{{- end -}}
