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

{{- /* Of the whole configuration, or of what a running process does not take over (files/restart-keys.json, generated from
       the program's schema): of secrets that a reload replaces, that there is one. */}}
{{- define "postern.configChecksum" -}}
{{- $config := include "postern.config" . | fromYaml }}
{{- if eq .Values.configReload "live" }}
{{- $restart := .Files.Get "files/restart-keys.json" | fromJson }}
{{- $fixed := dict }}
{{- range $restart.keys }}
{{- if hasKey $config . }}{{ $_ := set $fixed . (get $config .) }}{{ end }}
{{- end }}
{{- range $restart.secrets }}
{{- include "postern.hide" (dict "in" $fixed "path" (splitList "." .) "instead" (list true)) }}
{{- end }}
{{- range $restart.live }}
{{- include "postern.hide" (dict "in" $fixed "path" (splitList "." .) "instead" list) }}
{{- end }}
{{- $config = $fixed }}
{{- end }}
{{- toYaml $config | sha256sum }}
{{- end }}

{{- /* Takes the key at `path` (`*`: under every name) out of the map `in`, and puts what `instead` holds in its place. A key
       and its `…_file` are one. */}}
{{- define "postern.hide" -}}
{{- $in := .in }}
{{- $instead := .instead }}
{{- $rest := rest .path }}
{{- if kindIs "map" $in }}
{{- range $key := eq (first .path) "*" | ternary (keys $in) (list (first .path)) }}
{{- if $rest }}
{{- include "postern.hide" (dict "in" (get $in $key) "path" $rest "instead" $instead) }}
{{- else }}
{{- $file := printf "%s_file" $key }}
{{- $isThere := or (hasKey $in $key) (hasKey $in $file) }}
{{- $_ := unset $in $key }}
{{- $_ := unset $in $file }}
{{- if $isThere }}{{ range $instead }}{{ $_ := set $in $key . }}{{ end }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Of the chart's own Secret: a running process takes over all of it but the way to the store. */}}
{{- define "postern.secretsChecksum" -}}
{{- $files := list }}
{{- range include "postern.secretFiles" . | fromYamlArray }}
{{- $isLive := and (eq $.Values.configReload "live") (not (hasPrefix "store" .setting)) }}
{{- $files = append $files (ternary (omit . "value") . $isLive) }}
{{- end }}
{{- toYaml $files | sha256sum }}
{{- end }}

{{- /* Checksums cover what needs a restart and no more: an edited route must not restart pods. */}}
{{- define "postern.podAnnotations" -}}
{{- if not .Values.existingConfig.name }}
checksum/config: {{ include "postern.configChecksum" . }}
{{- end }}
{{- if not .Values.secrets.existingSecret }}
checksum/secrets: {{ include "postern.secretsChecksum" . }}
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
