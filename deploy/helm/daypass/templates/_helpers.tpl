{{- define "daypass.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "daypass.selector" -}}
app.kubernetes.io/name: daypass
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "daypass.labels" -}}
{{ include "daypass.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "daypass.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "daypass.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "daypass.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- /* A probe of one path, at the listener that clients come to: by the kubelet, or in the pod where each connection has to say whose it is. */ -}}
{{- define "daypass.probe" -}}
{{- if .root.Values.proxyProtocol -}}
exec:
  command: [/usr/bin/daypass, probe, --config, /etc/daypass/daypass.toml{{ if eq .path "/readyz" }}, --ready{{ end }}]
{{ else -}}
httpGet:
  path: {{ .path }}
  port: service
  scheme: {{ if .root.Values.tls.secretName }}HTTPS{{ else }}HTTP{{ end }}
{{ end -}}
{{ toYaml .with }}
{{- end }}

{{- /* The configuration. A string of JSON is one of TOML too, whatever characters are in it. */ -}}
{{- define "daypass.toml" -}}
{{- $v := .Values -}}
{{- if not (or $v.tls.secretName $v.behindProxy $v.proxyProtocol) -}}
{{- fail "say how TLS is ended: tls.secretName, behindProxy or proxyProtocol" -}}
{{- end -}}
{{- if and $v.mutualTls.publicUrl (not $v.tls.secretName) -}}
{{- fail "mutualTls needs tls.secretName" -}}
{{- end -}}
{{- if and (gt (int $v.replicas) 1) (not $v.store.url) -}}
{{- fail "more than one node needs a PostgreSQL: store.url" -}}
{{- end -}}
{{- if and (or $v.store.passwordSecretName $v.store.caSecretName) (not $v.store.url) -}}
{{- fail "a password or an authority is of a PostgreSQL: store.url" -}}
{{- end -}}
[server]
listen = "0.0.0.0:{{ $v.ports.service }}"
public_url = {{ required "publicUrl: where clients reach Daypass" $v.publicUrl | toJson }}
{{- if $v.tls.secretName }}
tls = { certificate = "/run/daypass/tls/tls.crt", key = "/run/daypass/tls/tls.key" }
{{- end }}
{{- if $v.behindProxy }}
behind_proxy = {{ $v.behindProxy | toJson }}
{{- end }}
{{- if $v.proxyProtocol }}
proxy_protocol = {{ $v.proxyProtocol | toJson }}
{{- end }}
{{- if $v.clientCertificateHeader }}
client_certificate_header = {{ $v.clientCertificateHeader | toJson }}
{{- end }}
{{- if $v.mutualTls.publicUrl }}
mutual_tls = { listen = "0.0.0.0:{{ $v.ports.mutualTls }}", public_url = {{ $v.mutualTls.publicUrl | toJson }}
{{- if $v.mutualTls.caSecretName }}, ca = "/run/daypass/clients-ca/ca.crt"{{ end }} }
{{- end }}
{{- if $v.metrics.enabled }}
metrics = "0.0.0.0:{{ $v.ports.metrics }}"
metrics_reason = {{ if $v.networkPolicy.enabled }}"a NetworkPolicy lets in who is to read them"{{ else }}"networkPolicy is switched off in the values of the chart"{{ end }}
{{- end }}
{{- with $v.server }}
{{ . | trim }}
{{- end }}

[store]
{{- if $v.store.url }}
{{- $ca := ternary (printf "%ssslrootcert=/run/daypass/database-ca/ca.crt" (ternary "&" "?" (contains "?" $v.store.url))) "" (ne $v.store.caSecretName "") }}
url = {{ printf "%s%s" $v.store.url $ca | quote }}
{{- if $v.store.passwordSecretName }}
password = { credential = "database-password" }
{{- end }}
{{- else }}
url = "sqlite:/var/lib/daypass/daypass.db"
{{- end }}

[seal]
key = { credential = "seal.key" }

{{ required "config: the tenants, roles and endpoints of daypass.toml" $v.config | trim }}
{{ end }}
