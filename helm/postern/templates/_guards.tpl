{{- /* "true" with a store that several replicas can share. */}}
{{- define "postern.sharedStore" -}}
{{- if has .Values.store.type (list "redis" "postgres") }}true{{ end }}
{{- end }}

{{- define "postern.minReplicas" -}}
{{- ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled }}
{{- end }}

{{- /*
Values that cannot work fail here, all at once, each with the path of the value and the remedy. What a single key may
hold is checked before, by values.schema.json.
*/}}
{{- define "postern.guards" -}}
{{- $v := .Values }}
{{- $problems := list }}
{{- $shared := include "postern.sharedStore" . }}
{{- if and (gt (int $v.replicaCount) 1) (not $shared) }}
{{- $problems = append $problems (printf "replicaCount: %d replicas cannot share the %s store; set store.type: redis or postgres, or replicaCount: 1" (int $v.replicaCount) $v.store.type) }}
{{- end }}
{{- if and $v.autoscaling.enabled (not $shared) }}
{{- $problems = append $problems (printf "autoscaling.enabled: replicas cannot share the %s store; set store.type: redis or postgres, or autoscaling.enabled: false" $v.store.type) }}
{{- end }}
{{- $services := default "all" (get $v.config "services") }}
{{- if and (ne $services "all") (not $shared) }}
{{- $problems = append $problems (printf "config.services: %s is one of two releases, which cannot share the %s store; set store.type: redis or postgres" $services $v.store.type) }}
{{- end }}
{{- if and (ne $v.store.type "embedded") (or $v.persistence.enabled $v.persistence.existingClaim) }}
{{- $problems = append $problems (printf "persistence: the %s store keeps nothing in the pod; set store.type: embedded, or turn persistence off" $v.store.type) }}
{{- end }}

{{- with $v.image }}
{{- if not (or .registry (contains "/" .repository) .allowUnqualified) }}
{{- $problems = append $problems (printf "image.registry: %s has no registry, and a node would ask a public one for it; name yours, or set image.allowUnqualified: true where the nodes have the image" (include "postern.image" $)) }}
{{- end }}
{{- end }}
{{- if $v.existingConfig.name }}
{{- if or $v.config $v.routes $v.idp.issuerUrl $v.idp.clientId $v.idp.scopes }}
{{- $problems = append $problems "existingConfig.name: the configuration comes from there; remove config, routes and idp, or existingConfig.name" }}
{{- end }}
{{- range $name, $on := dict "ingress.hosts" (and $v.ingress.enabled (not $v.ingress.hosts)) "httpRoute.hostnames" (and $v.httpRoute.enabled (not $v.httpRoute.hostnames)) }}
{{- if $on }}{{ $problems = append $problems (printf "%s: hosts cannot be read from existingConfig; list them" $name) }}{{ end }}
{{- end }}
{{- else }}
{{- if not $v.config.authenticate_service_url }}
{{- $problems = append $problems "config.authenticate_service_url: needed; the external address of the sign-in, for example https://authenticate.example.com" }}
{{- end }}
{{- range $key, $instead := include "postern.chartKeys" . | fromYaml }}
{{- $at := $v.config }}
{{- range splitList "." $key }}{{ $at = ternary (get ($at | default dict) .) nil (kindIs "map" $at) }}{{ end }}
{{- if not (or (kindIs "invalid" $at) (eq (toString $at) "")) }}
{{- $problems = append $problems (printf "config.%s: %s" $key $instead) }}
{{- end }}
{{- end }}
{{- range $key, $value := dict "idp_provider_url" $v.idp.issuerUrl "idp_client_id" $v.idp.clientId "idp_scopes" $v.idp.scopes }}
{{- if and $value (hasKey $v.config $key) }}
{{- $problems = append $problems (printf "config.%s: given twice, here and under idp; remove one" $key) }}
{{- end }}
{{- end }}
{{- with $v.config.authenticate_service_url }}
{{- $authenticate := include "postern.hostOf" . }}
{{- range $index, $route := $v.routes }}
{{- $host := include "postern.hostOf" $route.from }}
{{- if regexMatch (printf "^%s$" (regexQuoteMeta $host | replace "\\*" ".*")) $authenticate }}
{{- $problems = append $problems (printf "routes[%d].from: %s is also the host of config.authenticate_service_url, which would redirect for ever; give one of them another host" $index $host) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- $s := $v.secrets }}
{{- if not (or $s.existingSecret $s.sharedSecret $s.generate) }}
{{- $problems = append $problems "secrets: no shared secret; set secrets.existingSecret (recommended), secrets.sharedSecret (from `postern secrets generate`), or secrets.generate: true" }}
{{- end }}
{{- if and $s.existingSecret (or $s.generate $s.sharedSecret $s.idpClientSecret $s.oktaApiToken $s.signingKey $s.storeUrl $s.storeCa) }}
{{- $problems = append $problems "secrets.existingSecret: values beside it would be ignored; remove secrets.generate, sharedSecret, idpClientSecret, oktaApiToken, signingKey, storeUrl and storeCa, or existingSecret" }}
{{- end }}
{{- if and $shared (not (ternary $s.keys.storeUrl $s.storeUrl (ne $s.existingSecret ""))) }}
{{- $problems = append $problems (printf "secrets.%s: needed with store.type: %s; the store's URL, for example %s" (ternary "keys.storeUrl" "storeUrl" (ne $s.existingSecret "")) $v.store.type (ternary "rediss://user:password@valkey:6379" "postgres://user:password@db:5432/postern?sslmode=verify-full" (eq $v.store.type "redis"))) }}
{{- end }}
{{- if and (not $shared) (or $s.storeUrl $s.storeCa) }}
{{- $problems = append $problems (printf "secrets.storeUrl: the %s store has no address; set store.type: redis or postgres, or remove secrets.storeUrl and secrets.storeCa" $v.store.type) }}
{{- end }}
{{- if and $s.existingSecret (not $s.keys.sharedSecret) }}
{{- $problems = append $problems "secrets.keys.sharedSecret: needed; the key of the shared secret in secrets.existingSecret" }}
{{- end }}
{{- range $name := list "sharedSecret" "idpClientSecret" "oktaApiToken" }}
{{- if regexMatch "(?i)^(x{4,}|\\.{3,}|<.*>|(.*[-_ ])?(change|replace)[-_ ]?me([-_ ].*)?|todo|secret|example|placeholder)$" (get $s $name) }}
{{- $problems = append $problems (printf "secrets.%s: this is a placeholder; put the real value, or use secrets.existingSecret" $name) }}
{{- end }}
{{- end }}
{{- if and $s.sharedSecret (lt (len $s.sharedSecret) 32) }}
{{- $problems = append $problems (printf "secrets.sharedSecret: %d characters are too few; use the output of `postern secrets generate`" (len $s.sharedSecret)) }}
{{- end }}
{{- if and (include "postern.oktaDirectory" .) (not $s.existingSecret) (not $s.oktaApiToken) (not $v.existingConfig.name) }}
{{- $problems = append $problems "secrets.oktaApiToken: needed to read groups from Okta; set it, or okta.directory.enabled: false to use the groups claim" }}
{{- end }}

{{- if and $v.ingress.enabled (hasPrefix "https:" (default "https:" $v.config.authenticate_service_url)) (not (or $v.ingress.tls $v.ingress.certManager.clusterIssuer $v.ingress.certManager.issuer $v.ingress.externalTls)) }}
{{- $problems = append $problems "ingress.tls: browsers keep the session cookie only over https; set ingress.tls, ingress.certManager, or ingress.externalTls: true when a load balancer ends TLS" }}
{{- end }}
{{- if and $v.ingress.certManager.clusterIssuer $v.ingress.certManager.issuer }}
{{- $problems = append $problems "ingress.certManager: name either clusterIssuer or issuer" }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- range include "postern.hosts" . | fromYamlArray }}
{{- if contains "*" (trimPrefix "*." .) }}
{{- $problems = append $problems (printf "ingress.hosts: %s has a wildcard that an Ingress cannot express; list the hosts" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $v.httpRoute.enabled }}
{{- if not $v.httpRoute.parentRefs }}
{{- $problems = append $problems "httpRoute.parentRefs: needed; name the Gateway, for example [{name: gateway, namespace: infra}]" }}
{{- end }}
{{- if not (or $v.httpRoute.skipApiCheck (.Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1")) }}
{{- $problems = append $problems "httpRoute.enabled: the cluster does not serve gateway.networking.k8s.io/v1; install Gateway API, or set httpRoute.skipApiCheck: true" }}
{{- end }}
{{- end }}

{{- range $name := list "serviceMonitor" "prometheusRule" "dashboard" }}
{{- if (get $v.metrics $name).enabled }}
{{- if not $v.metrics.enabled }}
{{- $problems = append $problems (printf "metrics.%s.enabled: there are no metrics; set metrics.enabled: true" $name) }}
{{- end }}
{{- if not (or (eq $name "dashboard") $v.metrics.skipApiCheck ($.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}
{{- $problems = append $problems (printf "metrics.%s.enabled: the cluster does not serve monitoring.coreos.com/v1; install the Prometheus operator, or set metrics.skipApiCheck: true" $name) }}
{{- end }}
{{- end }}
{{- end }}

{{- $major := regexFind "^v?[0-9]+" .Chart.AppVersion | trimPrefix "v" }}
{{- if and (regexMatch "^v?[0-9]+\\.[0-9]+" $v.image.tag) (ne $major (regexFind "^v?[0-9]+" $v.image.tag | trimPrefix "v")) }}
{{- $problems = append $problems (printf "image.tag: %s is another major version than this chart's %s; use the chart that belongs to it" $v.image.tag .Chart.AppVersion) }}
{{- end }}
{{- if and $v.extraCACerts.configMap $v.extraCACerts.secret }}
{{- $problems = append $problems "extraCACerts: name either configMap or secret" }}
{{- end }}
{{- /* A server-side apply, which Helm 4 makes, takes no variable twice. */}}
{{- $variables := list }}
{{- range include "postern.env" . | fromYamlArray }}
{{- if has .name $variables }}
{{- $problems = append $problems (printf "extraEnv: %s is given already, by the chart (see nodeOptions, drainDelay and what is named alike) or here; remove one" .name) }}
{{- end }}
{{- $variables = append $variables .name }}
{{- end }}
{{- if $problems }}
{{- fail (printf "these values cannot work:\n- %s" (join "\n- " $problems)) }}
{{- end }}
{{- end }}

{{- /* Keys of config.yaml that the chart sets from other values, and which those are. */}}
{{- define "postern.chartKeys" -}}
{{- range $value, $keys := dict
  "the pod's port is fixed; see service.port" (list "address")
  "the chart decides this; see tls.existingSecret" (list "insecure_server" "certificate" "certificate_file" "certificate_key" "certificate_key_file" "certificates")
  "the chart decides this; see health.port" (list "health_check_addr")
  "the chart decides this; see metrics.enabled and metrics.port" (list "metrics_address")
  "the chart decides this; see store.type" (list "storage" "databroker_storage_type" "databroker_storage_connection_string")
  "the chart decides this; see drainDelay" (list "drain_delay")
  "write routes under routes, beside config" (list "routes" "policy")
  "a secret; put it in secrets.existingSecret or secrets.sharedSecret" (list "shared_secret" "shared_secret_file" "cookie_secret" "cookie_secret_file")
  "a secret; put it in secrets.existingSecret or secrets.idpClientSecret" (list "idp_client_secret" "idp_client_secret_file")
  "a secret; put it in secrets.existingSecret or secrets.oktaApiToken" (list "idp_service_account" "idp_service_account_file" "directory.okta.api_token" "directory.okta.api_token_file")
  "a secret; put it in secrets.existingSecret or secrets.signingKey" (list "signing_key" "signing_key_file") }}
{{- range $keys }}
{{ . | quote }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
