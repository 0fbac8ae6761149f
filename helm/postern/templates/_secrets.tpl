{{- define "postern.secretName" -}}
{{- default (printf "%s-secrets" (include "postern.fullname" .)) .Values.secrets.existingSecret }}
{{- end }}

{{- /* "true" when groups are read from Okta's API. */}}
{{- define "postern.oktaDirectory" -}}
{{- if and .Values.okta.directory.enabled (eq (default .Values.idp.provider .Values.config.idp_provider) "okta") }}true{{ end }}
{{- end }}

{{- /*
The secrets that there are: list of {setting, key, env, value}. `env` is the variable that names the mounted file. A key
left empty says that an existing Secret has none, a value left empty that the chart's own has none.
*/}}
{{- define "postern.secretFiles" -}}
{{- $secrets := .Values.secrets }}
{{- $found := list }}
{{- range list
  (dict "setting" "sharedSecret" "key" "shared-secret" "env" "SHARED_SECRET_FILE")
  (dict "setting" "idpClientSecret" "key" "idp-client-secret" "env" "IDP_CLIENT_SECRET_FILE")
  (dict "setting" "oktaApiToken" "key" "okta-api-token" "env" "DIRECTORY_OKTA_API_TOKEN_FILE")
  (dict "setting" "signingKey" "key" "signing-key" "env" "SIGNING_KEY_FILE")
  (dict "setting" "storeUrl" "key" "store-url" "env" "STORAGE_URL_FILE")
  (dict "setting" "storeCa" "key" "store-ca" "env" "STORAGE_CA_FILE") }}
{{- $given := get $secrets.keys .setting }}
{{- $value := get $secrets .setting }}
{{- $there := or $value (and $secrets.generate (eq .setting "sharedSecret")) }}
{{- if $secrets.existingSecret }}{{ $there = $given }}{{ end }}
{{- if and (eq .setting "oktaApiToken") (not (include "postern.oktaDirectory" $)) }}{{ $there = "" }}{{ end }}
{{- if and (hasPrefix "store" .setting) (not (include "postern.sharedStore" $)) }}{{ $there = "" }}{{ end }}
{{- if $there }}{{ $found = append $found (merge (dict "key" (default .key $given) "value" $value) .) }}{{ end }}
{{- end }}
{{- toYaml $found }}
{{- end }}
