{{/*
What the words of talks.yaml mean: its conditions, and the peers that are no component of ours. Each peer is a list of
NetworkPolicyPeers; an empty list is everybody. Argument: root. Returns YAML.
*/}}
{{- define "naisho.conditions" -}}
bundled-nats: {{ .Values.nats.enabled }}
external-nats: {{ not .Values.nats.enabled }}
monitoring: {{ .Values.monitoring.enabled }}
exposed: {{ ne .Values.pool.exposure.type "ClusterIP" }}
load: {{ and .Values.load.enabled .Values.nats.enabled }}
relay: {{ not (empty (index .Values.pool.settings.onion "relay.hosts")) }}
{{- end -}}

{{- define "naisho.peers" -}}
anybody: []
monitoring:
  - namespaceSelector: {{ include "naisho.labelSelector" .Values.networkPolicy.monitoring.namespaceLabels }}
    podSelector: {{ include "naisho.labelSelector" .Values.networkPolicy.monitoring.podLabels }}
cluster-dns:
  - namespaceSelector: {}
    podSelector: {{ include "naisho.labelSelector" .Values.networkPolicy.dns.podLabels }}
  {{- range .Values.networkPolicy.dns.cidrs }}
  - ipBlock: {cidr: {{ . | quote }}}
  {{- end }}
api-server: {{ include "naisho.blocks" .Values.networkPolicy.apiServer.cidrs }}
external-nats: {{ include "naisho.blocks" .Values.networkPolicy.externalNats.cidrs }}
# By whatever way leads there: a machine's port, a load balancer's address.
exposed-nodes: []
# Nothing that is private to this site or to this machine.
relay-hosts:
  - ipBlock:
      cidr: 0.0.0.0/0
      except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
  - ipBlock:
      cidr: "::/0"
      except: ["::1/128", "fc00::/7", "fe80::/10"]
{{- end -}}

{{/*
Numbers of the ports that lead to such peers; an empty list is every TCP port. Nodes that are exposed by ports of
machines have ports that nobody knows beforehand.
*/}}
{{- define "naisho.peerPorts" -}}
api: {{ .Values.networkPolicy.apiServer.ports | toJson }}
dns: {{ .Values.networkPolicy.dns.ports | toJson }}
relay: {{ .Values.networkPolicy.relay.ports | toJson }}
{{- $ports := list }}
{{- range .Values.nats.external.servers }}
{{- $ports = append $ports (regexFind "[0-9]+$" . | default (include "naisho.port" (list $ "nats" "client")) | int) }}
{{- end }}
client: {{ uniq $ports | toJson }}
exposed: {{ if eq .Values.pool.exposure.type "LoadBalancer" }}[{{ include "naisho.port" (list . "node" "https") }}]{{ else }}[]{{ end }}
{{- end -}}

{{- define "naisho.labelSelector" -}}
{{ if . }}{matchLabels: {{ toJson . }}}{{ else }}{}{{ end }}
{{- end -}}

{{- define "naisho.blocks" -}}
{{ $blocks := list }}{{ range . }}{{ $blocks = append $blocks (dict "ipBlock" (dict "cidr" .)) }}{{ end }}{{ $blocks | toJson }}
{{- end -}}
