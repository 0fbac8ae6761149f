// Generates two files of helm/postern from the program's configuration schema:
// values.schema.json: the chart's own values (below), and that schema for `config` and `routes`;
// files/restart-keys.json: the keys that need a restart: the chart restarts pods when one changes. Of `secrets` among them
// only when one comes or goes, of what is `live` never.
// `--print` writes both as one JSON map to stdout instead; a test compares.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const configuration = JSON.parse(readFileSync(`${root}config.schema.json`, 'utf8'))

const text = { type: 'string' }
const flag = { type: 'boolean' }
const port = { type: 'integer', minimum: 1, maximum: 65535 }
const count = { type: 'integer', minimum: 1 }
const seconds = { type: 'integer', minimum: 0 }
const goDuration = { type: 'string', pattern: '^([0-9]+(ms|[smhd]))+$' }
const texts = { type: 'array', items: text }
/** Objects of Kubernetes: its API server checks their fields. */
const object = { type: 'object' }
const objects = { type: 'array', items: object }
const textMap = { type: 'object', additionalProperties: text }
const words = (...values) => ({ type: 'string', enum: values })
const orNull = (schema) => ({ ...schema, type: [schema.type, 'null'] })
const map = (properties) => ({ type: 'object', properties, additionalProperties: false })
const probe = map({
  initialDelaySeconds: seconds,
  periodSeconds: count,
  timeoutSeconds: count,
  successThreshold: count,
  failureThreshold: count,
})

const values = {
  global: object, // Helm's own; a parent chart may set it
  nameOverride: text,
  fullnameOverride: text,
  namespaceOverride: text,
  commonLabels: textMap,
  commonAnnotations: textMap,
  config: embedded(),
  routes: inner(configuration.properties.routes),
  idp: map({
    provider: { type: 'string', enum: configuration.properties.idp_provider.enum },
    issuerUrl: text,
    clientId: text,
    scopes: texts,
  }),
  okta: map({
    directory: map({
      enabled: flag,
      orgUrl: text,
      refreshInterval: text,
      budget: { type: ['number', 'null'], minimum: 0.01, maximum: 1 },
    }),
  }),
  existingConfig: map({ kind: words('Secret', 'ConfigMap'), name: text, key: { ...text, minLength: 1 } }),
  configReload: words('live', 'restart'),
  secrets: map({
    existingSecret: text,
    keys: map({
      sharedSecret: text,
      idpClientSecret: text,
      oktaApiToken: text,
      signingKey: text,
      storeUrl: text,
      storeCa: text,
    }),
    sharedSecret: text,
    idpClientSecret: text,
    oktaApiToken: text,
    signingKey: text,
    storeUrl: text,
    storeCa: text,
    generate: flag,
  }),
  store: map({
    type: configuration.properties.storage.properties.type,
    prefix: { ...text, pattern: `${configuration.properties.storage.properties.prefix.pattern}|^$` },
  }),
  persistence: map({
    enabled: flag,
    existingClaim: text,
    size: text,
    storageClass: text,
    accessModes: texts,
    annotations: textMap,
  }),
  tls: map({ existingSecret: text }),
  service: map({
    type: words('ClusterIP', 'NodePort', 'LoadBalancer'),
    port: orNull(port),
    nodePort: orNull(port),
    appProtocol: text,
    loadBalancerClass: text,
    loadBalancerSourceRanges: texts,
    externalTrafficPolicy: words('', 'Cluster', 'Local'),
    annotations: textMap,
    labels: textMap,
  }),
  ingress: map({
    enabled: flag,
    className: text,
    annotations: textMap,
    hosts: texts,
    tls: { type: 'array', items: map({ secretName: text, hosts: texts }) },
    certManager: map({ clusterIssuer: text, issuer: text }),
    externalTls: flag,
  }),
  httpRoute: map({
    enabled: flag,
    parentRefs: objects,
    hostnames: texts,
    annotations: textMap,
    skipApiCheck: flag,
  }),
  health: map({ port }),
  metrics: map({
    enabled: flag,
    port,
    skipApiCheck: flag,
    serviceMonitor: map({ enabled: flag, interval: goDuration, scrapeTimeout: goDuration, labels: textMap }),
    prometheusRule: map({ enabled: flag, labels: textMap, runbookUrl: text }),
    dashboard: map({ enabled: flag, labels: textMap, annotations: textMap }),
  }),
  probes: map({ startup: probe, liveness: probe, readiness: probe }),
  image: map({
    registry: text,
    repository: { ...text, minLength: 1 },
    allowUnqualified: flag,
    tag: text,
    digest: { ...text, pattern: '^(sha256:[0-9a-f]{64})?$' },
    pullPolicy: words('Always', 'IfNotPresent', 'Never'),
    pullSecrets: objects,
  }),
  replicaCount: { type: 'integer', minimum: 0 },
  autoscaling: map({
    enabled: flag,
    minReplicas: count,
    maxReplicas: count,
    targetCPUUtilizationPercentage: count,
    behavior: object,
  }),
  podDisruptionBudget: map({ enabled: flag, maxUnavailable: { type: ['integer', 'string'] } }),
  strategy: object,
  drainDelay: goDuration,
  terminationGracePeriodSeconds: seconds,
  lifecycle: object,
  podSecurityContext: object,
  containerSecurityContext: object,
  resources: object,
  nodeOptions: text,
  serviceAccount: map({ create: flag, name: text, annotations: textMap, automount: flag }),
  networkPolicy: map({ enabled: flag, ingressFrom: objects, metricsFrom: objects, egressTo: objects }),
  podAnnotations: textMap,
  podLabels: textMap,
  nodeSelector: textMap,
  tolerations: objects,
  affinity: object,
  topologySpreadConstraints: objects,
  priorityClassName: text,
  dnsConfig: object,
  hostAliases: objects,
  extraEnv: objects,
  extraEnvFrom: objects,
  extraVolumes: objects,
  extraVolumeMounts: objects,
  initContainers: objects,
  extraContainers: objects,
  extraCACerts: map({ configMap: text, secret: text, key: text }),
  extraObjects: objects,
}

const schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Values of the Postern chart',
  ...map(values),
  ...(configuration.definitions && { definitions: inner(configuration.definitions) }),
}
const leaves = leavesOf(configuration.properties)
const secrets = new Set(leaves.filter(({ isLive, isSecret }) => isLive && isSecret).map(({ path }) => path))
const restartKeys = {
  keys: Object.entries(configuration.properties)
    .filter(([key, property]) => property['x-restart'] || secrets.has(key.replace(/_file$/, '')))
    .map(([key]) => key),
  secrets: [...secrets],
  live: leaves.filter(({ path, isLive }) => isLive && path.includes('.') && !secrets.has(path)).map(({ path }) => path),
}
const files = {
  'values.schema.json': `${JSON.stringify(schema, null, 1)}\n`,
  'files/restart-keys.json': `${JSON.stringify(restartKeys, null, 1)}\n`,
}
if (process.argv.includes('--print')) process.stdout.write(JSON.stringify(files))
else for (const [name, text] of Object.entries(files)) writeFileSync(`${root}helm/postern/${name}`, text)

/**
 * Keys without keys below them, by their paths; `*` is any name. `isLive`: a reload takes it over, though what it belongs to
 * is read once. `key_file` is `key`.
 */
function leavesOf(properties, prefix = '') {
  return Object.entries(properties).flatMap(([name, property]) => {
    if (name.endsWith('_file') && name.slice(0, -'_file'.length) in properties) return []
    const path = prefix + name
    if (property.properties) return leavesOf(property.properties, `${path}.`)
    const ofEach = property.additionalProperties?.properties
    if (ofEach) return leavesOf(ofEach, `${path}.*.`)
    return { path, isLive: property['x-restart'] === false, isSecret: property.writeOnly === true }
  })
}

/** The configuration as one value. No key is required: other values of the chart set some of them. */
function embedded() {
  const { type, properties, additionalProperties } = configuration
  return inner({ type, properties, additionalProperties })
}

/**
 * Without defaults: Helm does not apply them, and the program has its own. Without patterns that look ahead: Helm's regular
 * expressions cannot, and the program judges them all the same.
 */
function inner(node) {
  if (Array.isArray(node)) return node.map(inner)
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key, value]) => key !== 'default' && !(key === 'pattern' && /\(\?[=!<]/.test(value)))
      .map(([key, value]) => [key, inner(value)]),
  )
}
