{{/*
The servers' configuration. Whom they trust stands in auth.conf beside it, which the operator writes: keys of operator
and accounts, under which users come and go without a word to the servers.
*/}}
{{- define "naisho.natsConfig" -}}
server_name: $POD_NAME
listen: "0.0.0.0:{{ include "naisho.port" (list . "nats" "client") }}"
http: "0.0.0.0:{{ include "naisho.port" (list . "nats" "monitor") }}"
pid_file: "/run/nats/nats.pid"
logtime_utc: true
max_payload: 1048576
# Bytes that are kept for one slow reader before it is cut off.
max_pending: 67108864
write_deadline: "10s"
# A server that is asked to go hands over what it leads, and then cuts its clients off one by one.
lame_duck_grace_period: "5s"
lame_duck_duration: "30s"
jetstream {
  store_dir: "/data"
  # An acknowledged event is on the disk.
  sync_interval: always
  max_memory_store: 1
  max_file_store: {{ include "naisho.natsFileStore" . }}
}
tls {
  cert_file: "/etc/nats-tls/tls.crt"
  key_file: "/etc/nats-tls/tls.key"
}
{{- if gt (int .Values.nats.replicas) 1 }}
cluster {
  name: {{ include "naisho.fullname" . | toJson }}
  listen: "0.0.0.0:{{ include "naisho.port" (list . "nats" "cluster") }}"
  # Clients are told of all servers by their settings; what servers tell them would be addresses of pods.
  no_advertise: true
  tls {
    cert_file: "/etc/nats-tls/tls.crt"
    key_file: "/etc/nats-tls/tls.key"
    ca_file: "/etc/nats-tls/ca.crt"
    verify: true
  }
  routes: [
    {{- range $number := until (int .Values.nats.replicas) }}
    "nats-route://{{ include "naisho.natsHost" (list $ $number) }}:{{ include "naisho.port" (list $ "nats" "cluster") }}"
    {{- end }}
  ]
}
{{- end }}
include "./auth.conf"
{{- end -}}
