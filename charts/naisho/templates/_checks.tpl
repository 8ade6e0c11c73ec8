{{/*
What single values cannot say about each other. Every message is collected, so that nobody has to mend one to learn of the
next. Returns a JSON list.
*/}}
{{- define "naisho.problems" -}}
{{- $problems := list -}}
{{- $name := include "naisho.fullname" . -}}
{{- if gt (len $name) 40 -}}
{{- $problems = append $problems (printf "the full name %q has %d characters and may have 40, since names of pods and labels are made of it; set fullnameOverride" $name (len $name)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]*$" $name) -}}
{{- $problems = append $problems (printf "the full name %q must begin with a letter and hold only a-z, 0-9 and hyphens, since Services are named after it; set fullnameOverride" $name) -}}
{{- end -}}
{{- $problems = concat $problems (include "naisho.poolProblems" . | fromJsonArray) (include "naisho.natsProblems" . | fromJsonArray) -}}
{{- $least := .Values.membership.swarmMinimum | default 5 | int -}}
{{- $ideal := .Values.membership.swarmIdeal | default 6 | int -}}
{{- if le $ideal $least -}}
{{- $problems = append $problems (printf "membership.swarmIdeal (%d) must be above membership.swarmMinimum (%d), or swarms would come and go" $ideal $least) -}}
{{- end -}}
{{- with .Values.seed.service -}}
{{- if and .sourceRanges (ne .type "LoadBalancer") -}}
{{- $problems = append $problems (printf "seed.service.sourceRanges mean nothing with seed.service.type %s; they are for LoadBalancer" .type) -}}
{{- end -}}
{{- end -}}
{{- range $setting, $_ := .Values.custodian.settings -}}
{{- if include "naisho.reserved" (list $setting (list "NETWORK" "DATA" "NATS" "TELEMETRY" "KEY_PERIOD")) -}}
{{- $problems = append $problems (printf "custodian.settings.%s is the chart's own: leave it out" $setting) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.operator.enabled (not .Values.operator.serviceAccount.create) (not .Values.operator.serviceAccount.name) -}}
{{- $problems = append $problems "operator.serviceAccount.create is false, so operator.serviceAccount.name must say which one to use" -}}
{{- end -}}
{{ $problems | toJson }}
{{- end -}}

{{- define "naisho.poolProblems" -}}
{{- $problems := list -}}
{{- with .Values.pool -}}
{{- if .enabled -}}
{{- if and (not (kindIs "invalid" .replicas)) (not .autoscaling.enabled) (lt (int (.replicas | default 0)) 3) (not .allowUnsafe) -}}
{{- $problems = append $problems (printf "pool.replicas is %d: fewer than 3 nodes keep no mail; set pool.allowUnsafe if that is meant" (int .replicas)) -}}
{{- end -}}
{{- if and .exposure.annotations (ne .exposure.type "LoadBalancer") -}}
{{- $problems = append $problems (printf "pool.exposure.annotations mean nothing with pool.exposure.type %s; they are for LoadBalancer" .exposure.type) -}}
{{- end -}}
{{- if .autoscaling.enabled -}}
{{- if lt (int .autoscaling.maxReplicas) (int .autoscaling.minReplicas) -}}
{{- $problems = append $problems (printf "pool.autoscaling.maxReplicas (%d) is below pool.autoscaling.minReplicas (%d)" (int .autoscaling.maxReplicas) (int .autoscaling.minReplicas)) -}}
{{- end -}}
{{- if not .autoscaling.targets -}}
{{- $problems = append $problems "pool.autoscaling is enabled without a target; set at least one of pool.autoscaling.targets" -}}
{{- end -}}
{{- end -}}
{{- $own := dict "onion" (list "NETWORK_FILE" "NODE_KEY" "CERTIFICATE" "HTTPS" "HOP" "SEED" "MAILBOX" "TELEMETRY") "swarm" (list "NETWORK_FILE" "NODE_KEY" "MAILBOX_KEY" "CERTIFICATE" "DATA" "MAILBOX" "TELEMETRY" "ABOUT" "NATS" "KEY_PERIOD") -}}
{{- range $service, $names := $own -}}
{{- range $setting, $_ := index $.Values.pool.settings $service -}}
{{- if include "naisho.reserved" (list $setting $names) -}}
{{- $problems = append $problems (printf "pool.settings.%s.%s is the operator's own: leave it out" $service $setting) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ $problems | toJson }}
{{- end -}}

{{- define "naisho.natsProblems" -}}
{{- $problems := list -}}
{{- $external := .Values.nats.external -}}
{{- if .Values.nats.enabled -}}
{{- if or $external.servers $external.accountSecret -}}
{{- $problems = append $problems "nats.external is given, but nats.enabled is true; it is one or the other" -}}
{{- end -}}
{{- $wanted := 0 -}}
{{- range .Values.streams }}{{ $wanted = add $wanted (include "naisho.bytes" . | int64) }}{{ end -}}
{{- $room := include "naisho.natsFileStore" . | int64 -}}
{{- if gt $wanted $room -}}
{{- $problems = append $problems (printf "the streams reserve %d bytes, but nine tenths of nats.storage.size (%v) are %d; make the volume larger or the streams smaller" $wanted .Values.nats.storage.size $room) -}}
{{- end -}}
{{- if and .Values.certificates.certManager.enabled (not .Values.certificates.certManager.issuerRef.name) -}}
{{- $problems = append $problems "certificates.certManager is enabled without an issuer; set certificates.certManager.issuerRef.name" -}}
{{- end -}}
{{- else -}}
{{- if or .Values.operator.enabled .Values.custodian.enabled -}}
{{- if not $external.servers -}}
{{- $problems = append $problems "nats.enabled is false, so nats.external.servers must say where NATS is" -}}
{{- end -}}
{{- if not $external.accountSecret -}}
{{- $problems = append $problems "nats.enabled is false, so nats.external.accountSecret must name the Secret with the account's signing key" -}}
{{- end -}}
{{- end -}}
{{- if .Values.certificates.certManager.enabled -}}
{{- $problems = append $problems "certificates.certManager is enabled, but there are no NATS servers of this release to certify (nats.enabled is false)" -}}
{{- end -}}
{{- end -}}
{{ $problems | toJson }}
{{- end -}}

{{/*
Not empty if a setting such as nats.servers is one of those names, or in one of those tables. Argument: list of the
setting and the names, written as in variables.
*/}}
{{- define "naisho.reserved" -}}
{{- $variable := index . 0 | replace "." "_" | upper -}}
{{- range index . 1 -}}
{{- if or (eq $variable .) (hasPrefix (printf "%s_" .) $variable) -}}yes{{- end -}}
{{- end -}}
{{- end -}}
