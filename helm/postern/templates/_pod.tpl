{{- /* "true" with TLS in the pod. */}}
{{- define "postern.tls" -}}
{{- if .Values.tls.existingSecret }}true{{ end }}
{{- end }}

{{- define "postern.portName" -}}
{{- ternary "https" "http" (eq (include "postern.tls" .) "true") }}
{{- end }}

{{- define "postern.containerPort" -}}
{{- ternary 8443 8080 (eq (include "postern.tls" .) "true") }}
{{- end }}

{{- define "postern.servicePort" -}}
{{- default (ternary 443 80 (eq (include "postern.tls" .) "true")) .Values.service.port }}
{{- end }}

{{- /* Settings that follow from the pod's shape, and the paths of mounted secrets; never a secret itself. */}}
{{- define "postern.env" -}}
- {name: ADDRESS, value: ":{{ include "postern.containerPort" . }}"}
{{- if include "postern.tls" . }}
- {name: CERTIFICATE_FILE, value: /run/secrets/postern-tls/tls.crt}
- {name: CERTIFICATE_KEY_FILE, value: /run/secrets/postern-tls/tls.key}
{{- else }}
- {name: INSECURE_SERVER, value: "true"}
{{- end }}
- {name: HEALTH_CHECK_ADDR, value: "0.0.0.0:{{ .Values.health.port }}"}
- {name: DRAIN_DELAY, value: {{ quote .Values.drainDelay }}}
{{- if .Values.metrics.enabled }}
- {name: METRICS_ADDRESS, value: ":{{ .Values.metrics.port }}"}
{{- end }}
- {name: STORAGE_TYPE, value: {{ .Values.store.type }}}
{{- if eq .Values.store.type "embedded" }}
- {name: STORAGE_PATH, value: /var/lib/postern}
{{- end }}
{{- with .Values.store.prefix }}
- {name: STORAGE_PREFIX, value: {{ quote . }}}
{{- end }}
{{- range include "postern.secretFiles" . | fromYamlArray }}
- {name: {{ .env }}, value: /run/secrets/postern/{{ .key }}}
{{- end }}
{{- with .Values.nodeOptions }}
- {name: NODE_OPTIONS, value: {{ quote . }}}
{{- end }}
{{- if or .Values.extraCACerts.configMap .Values.extraCACerts.secret }}
- {name: NODE_EXTRA_CA_CERTS, value: /etc/postern-ca/ca.crt}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postern.volumeMounts" -}}
- {name: config, mountPath: /etc/postern, readOnly: true}
- {name: secrets, mountPath: /run/secrets/postern, readOnly: true}
{{- if include "postern.tls" . }}
- {name: tls, mountPath: /run/secrets/postern-tls, readOnly: true}
{{- end }}
{{- if or .Values.extraCACerts.configMap .Values.extraCACerts.secret }}
- {name: ca, mountPath: /etc/postern-ca, readOnly: true}
{{- end }}
- {name: tmp, mountPath: /tmp}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postern.volumes" -}}
- {{ include "postern.configVolume" . | nindent 2 | trim }}
- name: secrets
  secret:
    secretName: {{ include "postern.secretName" . }}
    # 0440 and fsGroup: readable for Postern, for nobody else.
    defaultMode: 288
    items:
      {{- range include "postern.secretFiles" . | fromYamlArray }}
      - {key: {{ .key }}, path: {{ .key }}}
      {{- end }}
{{- if include "postern.tls" . }}
- name: tls
  secret: {secretName: {{ .Values.tls.existingSecret }}, defaultMode: 288}
{{- end }}
{{- with .Values.extraCACerts }}
{{- $items := list (dict "key" .key "path" "ca.crt") }}
{{- if .configMap }}
- name: ca
  configMap: {{ toJson (dict "name" .configMap "items" $items) }}
{{- else if .secret }}
- name: ca
  secret: {{ toJson (dict "secretName" .secret "items" $items) }}
{{- end }}
{{- end }}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
