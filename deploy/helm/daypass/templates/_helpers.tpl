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

{{- /* A probe of one path, at the listener that clients come to. */ -}}
{{- define "daypass.probe" -}}
httpGet:
  path: {{ .path }}
  port: service
  scheme: {{ if .root.Values.tls.secretName }}HTTPS{{ else }}HTTP{{ end }}
{{ toYaml .with }}
{{- end }}

{{- /* The configuration. A string of JSON is one of TOML too, whatever characters are in it. */ -}}
{{- define "daypass.toml" -}}
{{- $v := .Values -}}
{{- if not (or $v.tls.secretName $v.behindProxy) -}}
{{- fail "say how TLS is ended: tls.secretName, or behindProxy" -}}
{{- end -}}
{{- if and $v.mutualTls.publicUrl (not $v.tls.secretName) -}}
{{- fail "mutualTls needs tls.secretName" -}}
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
url = "sqlite:/var/lib/daypass/daypass.db"

[seal]
key = { credential = "seal.key" }

{{ required "config: the tenants, roles and endpoints of daypass.toml" $v.config | trim }}
{{ end }}
