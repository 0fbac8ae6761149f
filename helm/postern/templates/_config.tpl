{{- /*
config.yaml as the values say it. What follows from the shape of the pod (ports, paths of mounted files) is not in it:
that is given by environment (postern.env), which wins over the file and works the same with existingConfig.
*/}}
{{- define "postern.config" -}}
{{- $config := deepCopy .Values.config }}
{{- with .Values.idp }}
{{- if not (hasKey $config "idp_provider") }}{{ $_ := set $config "idp_provider" .provider }}{{ end }}
{{- with .issuerUrl }}{{ $_ := set $config "idp_provider_url" . }}{{ end }}
{{- with .clientId }}{{ $_ := set $config "idp_client_id" . }}{{ end }}
{{- with .scopes }}{{ $_ := set $config "idp_scopes" . }}{{ end }}
{{- end }}
{{- if include "postern.oktaDirectory" . }}
{{- with .Values.okta.directory }}
{{- $okta := dict }}
{{- with .orgUrl }}{{ $_ := set $okta "url" . }}{{ end }}
{{- if not (kindIs "invalid" .budget) }}{{ $_ := set $okta "budget" .budget }}{{ end }}
{{- $directory := dict }}
{{- with .refreshInterval }}{{ $_ := set $directory "refresh_interval" . }}{{ end }}
{{- with $okta }}{{ $_ := set $directory "okta" . }}{{ end }}
{{- with $directory }}{{ $_ := set $config "directory" (mergeOverwrite ($config.directory | default dict) .) }}{{ end }}
{{- end }}
{{- end }}
{{- $_ := set $config "routes" .Values.routes }}
{{- toYaml $config }}
{{- end }}

{{- /* Keys of config.yaml that a running process takes over; a change of any other restarts the pods. A test asks the
       program about each. */}}
{{- define "postern.liveKeys" -}}
[routes, cookie_expire, cookie_name, cookie_same_site, default_upstream_timeout, jwt_claims_headers,
 pass_identity_headers, timeout_idle, timeout_read, trusted_proxies, upstream_body_timeout, upstream_connect_timeout,
 xff_num_trusted_hops]
{{- end }}

{{- define "postern.configChecksum" -}}
{{- $config := include "postern.config" . | fromYaml }}
{{- if eq .Values.configReload "live" }}
{{- range include "postern.liveKeys" . | fromYamlArray }}{{ $_ := unset $config . }}{{ end }}
{{- end }}
{{- toYaml $config | sha256sum }}
{{- end }}

{{- /* Checksums cover what needs a restart and no more: an edited route must not restart pods. */}}
{{- define "postern.podAnnotations" -}}
{{- if not .Values.existingConfig.name }}
checksum/config: {{ include "postern.configChecksum" . }}
{{- end }}
{{- if not .Values.secrets.existingSecret }}
checksum/secrets: {{ include "postern.secretFiles" . | sha256sum }}
{{- end }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postern.configVolume" -}}
name: config
{{- if .Values.existingConfig.name }}
{{- $items := list (dict "key" .Values.existingConfig.key "path" "config.yaml") }}
{{- if eq .Values.existingConfig.kind "ConfigMap" }}
configMap: {{ toJson (dict "name" .Values.existingConfig.name "items" $items) }}
{{- else }}
secret: {{ toJson (dict "secretName" .Values.existingConfig.name "items" $items) }}
{{- end }}
{{- else }}
secret: {secretName: {{ include "postern.fullname" . }}-config}
{{- end }}
{{- end }}

{{- /* Hosts that come in from outside, in order and once each: authenticate, then the routes. */}}
{{- define "postern.hosts" -}}
{{- $hosts := list }}
{{- with .Values.config.authenticate_service_url }}{{ $hosts = append $hosts (include "postern.hostOf" .) }}{{ end }}
{{- range .Values.routes }}{{ $hosts = append $hosts (include "postern.hostOf" .from) }}{{ end }}
{{- toYaml ($hosts | uniq) }}
{{- end }}

{{- /* Lower-case host of a URL, without the port. */}}
{{- define "postern.hostOf" -}}
{{- $host := regexReplaceAll "^[a-z+]*://" (lower .) "" }}
{{- regexReplaceAll "[:/?#].*$" $host "" }}
{{- end }}
