{{/* Bytes of a quantity such as 8Gi, 500M or 1048576; 0 for one that cannot be read. Argument: the quantity. */}}
{{- define "naisho.bytes" -}}
{{- $text := toString . -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $number := trimSuffix $unit $text -}}
{{- if and (hasKey $factors $unit) (regexMatch "^[0-9]+([.][0-9]+)?$" $number) -}}
{{ mulf (float64 $number) (index $factors $unit) | floor | int64 }}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{/* What JetStream may fill of its volume: the rest is for its own journals and for the file system. */}}
{{- define "naisho.natsFileStore" -}}
{{ div (mul (include "naisho.bytes" .Values.nats.storage.size | int64) 9) 10 }}
{{- end -}}

{{/* Memory at which the Go runtime of nats-server collects in earnest: a fifth below the limit at which it is killed. */}}
{{- define "naisho.natsGoMemory" -}}
{{- with (.Values.nats.resources.limits).memory -}}
{{ div (mul (include "naisho.bytes" . | int64) 8) 10 }}
{{- end -}}
{{- end -}}
