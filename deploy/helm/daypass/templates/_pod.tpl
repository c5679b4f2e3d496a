{{- /* A node, whatever it is that keeps nodes. */ -}}
{{- define "daypass.pod" -}}
metadata:
  labels:
    {{- include "daypass.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A change of it makes new pods, one after the other.
    checksum/config: {{ include "daypass.toml" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "daypass.account" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext: {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.store.url }}
  topologySpreadConstraints:
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: {{ $.Values.spread }}
      labelSelector:
        matchLabels: {{- include "daypass.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  containers:
    - name: daypass
      image: {{ include "daypass.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/daypass/daypass.toml]
      env:
        # Where `{ credential = "seal.key" }` is looked for.
        - { name: CREDENTIALS_DIRECTORY, value: /run/secrets/daypass }
        # Where the control socket is.
        - { name: RUNTIME_DIRECTORY, value: /run/daypass/control }
      ports:
        - { name: service, containerPort: {{ .Values.ports.service }} }
        {{- if .Values.mutualTls.publicUrl }}
        - { name: mutual-tls, containerPort: {{ .Values.ports.mutualTls }} }
        {{- end }}
        {{- if .Values.metrics.enabled }}
        - { name: metrics, containerPort: {{ .Values.ports.metrics }} }
        {{- end }}
      startupProbe: {{- include "daypass.probe" (dict "root" . "path" "/livez" "with" .Values.probes.startup) | nindent 8 }}
      livenessProbe: {{- include "daypass.probe" (dict "root" . "path" "/livez" "with" .Values.probes.liveness) | nindent 8 }}
      readinessProbe: {{- include "daypass.probe" (dict "root" . "path" "/readyz" "with" .Values.probes.readiness) | nindent 8 }}
      resources: {{- toYaml .Values.resources | nindent 8 }}
      securityContext: {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - { name: config, mountPath: /etc/daypass, readOnly: true }
        - { name: credentials, mountPath: /run/secrets/daypass, readOnly: true }
        - { name: control, mountPath: /run/daypass/control }
        {{- if .Values.store.caSecretName }}
        - { name: database-ca, mountPath: /run/daypass/database-ca, readOnly: true }
        {{- end }}
        {{- if not .Values.store.url }}
        - { name: data, mountPath: /var/lib/daypass }
        {{- end }}
        {{- if .Values.tls.secretName }}
        - { name: tls, mountPath: /run/daypass/tls, readOnly: true }
        {{- end }}
        {{- if .Values.mutualTls.caSecretName }}
        - { name: clients-ca, mountPath: /run/daypass/clients-ca, readOnly: true }
        {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ include "daypass.name" . }} }
    - name: credentials
      projected:
        # Of root and the pod's group: the kubelet writes them, and fsGroup reads them.
        defaultMode: 0440
        sources:
          - secret:
              name: {{ required "sealKey.secretName: a Secret with the seal key" .Values.sealKey.secretName }}
              items: [{ key: {{ .Values.sealKey.key | quote }}, path: seal.key }]
          {{- with .Values.store.passwordSecretName }}
          - secret:
              name: {{ . }}
              items: [{ key: {{ $.Values.store.passwordKey | quote }}, path: database-password }]
          {{- end }}
          {{- range .Values.credentials }}
          - secret:
              name: {{ .secretName }}
              items: [{ key: {{ .key | quote }}, path: {{ .name | quote }} }]
          {{- end }}
    - name: control
      emptyDir: { medium: Memory, sizeLimit: 1Mi }
    {{- with .Values.store.caSecretName }}
    - name: database-ca
      secret: { secretName: {{ . }}, defaultMode: 0440, items: [{ key: ca.crt, path: ca.crt }] }
    {{- end }}
    {{- with .Values.tls.secretName }}
    - name: tls
      secret: { secretName: {{ . }}, defaultMode: 0440 }
    {{- end }}
    {{- with .Values.mutualTls.caSecretName }}
    - name: clients-ca
      secret: { secretName: {{ . }}, defaultMode: 0440, items: [{ key: ca.crt, path: ca.crt }] }
    {{- end }}
{{- end }}
