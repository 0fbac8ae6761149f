// Derives the JSON schemas in e2e/helm/schemas from the published API definitions, through the Go module proxy:
// Kubernetes' own OpenAPI document, Gateway API's and the Prometheus operator's CRDs (all Apache-2.0, see NOTICE there).
// Descriptions are dropped, unknown fields refused. Run by hand when a version below or a kind changes.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const out = fileURLToPath(new URL('../e2e/helm/schemas/', import.meta.url))
const kubernetes = { module: 'k8s.io/kubernetes', version: 'v1.36.3', file: 'api/openapi-spec/swagger.json' }
const builtIn = [
  ['', 'v1', 'ConfigMap'],
  ['', 'v1', 'PersistentVolumeClaim'],
  ['', 'v1', 'Pod'],
  ['', 'v1', 'Secret'],
  ['', 'v1', 'Service'],
  ['', 'v1', 'ServiceAccount'],
  ['apps', 'v1', 'Deployment'],
  ['autoscaling', 'v2', 'HorizontalPodAutoscaler'],
  ['networking.k8s.io', 'v1', 'Ingress'],
  ['networking.k8s.io', 'v1', 'NetworkPolicy'],
  ['policy', 'v1', 'PodDisruptionBudget'],
]
const operator = {
  module: 'github.com/prometheus-operator/prometheus-operator',
  version: 'v0.85.0',
  folder: 'example/prometheus-operator-crd/monitoring.coreos.com_',
}
const gateway = {
  module: 'sigs.k8s.io/gateway-api',
  version: 'v1.6.3',
  folder: 'config/crd/standard/gateway.networking.k8s.io_',
}
const custom = [
  { ...gateway, file: `${gateway.folder}httproutes.yaml`, serves: 'v1' },
  { ...operator, file: `${operator.folder}servicemonitors.yaml`, serves: 'v1' },
  { ...operator, file: `${operator.folder}prometheusrules.yaml`, serves: 'v1' },
]

mkdirSync(out, { recursive: true })
const { definitions } = JSON.parse(readModule(kubernetes))
for (const [group, version, kind] of builtIn) {
  const name = Object.keys(definitions).find((key) =>
    definitions[key]['x-kubernetes-group-version-kind']?.some(
      (gvk) => gvk.group === group && gvk.version === version && gvk.kind === kind,
    ),
  )
  if (name === undefined) throw new Error(`${kubernetes.module} has no ${group}/${version} ${kind}`)
  const used = {}
  const root = strict(definitions[name], (reference) => collect(reference, used))
  save(group, version, kind, { ...root, definitions: used })
}
for (const crd of custom) {
  const { spec } = parse(readModule(crd))
  const version = spec.versions.find((candidate) => candidate.name === crd.serves)
  const schema = strict(version.schema.openAPIV3Schema)
  // In a CRD metadata is any object; its own fields are checked by the built-in kinds.
  schema.properties.metadata = { type: 'object' }
  save(spec.group, crd.serves, spec.names.kind, schema)
}

function readModule({ module, version, file }) {
  const answer = execFileSync('go', ['mod', 'download', '-json', `${module}@${version}`], {
    cwd: tmpdir(),
    encoding: 'utf8',
  })
  return readFileSync(`${JSON.parse(answer).Dir}/${file}`, 'utf8')
}

function collect(reference, used) {
  const name = reference.slice('#/definitions/'.length)
  if (name in used) return
  used[name] = {} // before the descent: definitions refer to themselves
  if (name.endsWith('.IntOrString')) used[name] = { type: ['string', 'integer'] }
  else if (name.endsWith('.Quantity')) used[name] = { type: ['string', 'number'] }
  else used[name] = strict(definitions[name], (inner) => collect(inner, used))
}

/** The keywords of an OpenAPI schema that validate; unknown fields are refused. */
function strict(schema, onReference = () => {}) {
  if (schema.$ref !== undefined) {
    onReference(schema.$ref)
    return { $ref: schema.$ref }
  }
  if (schema['x-kubernetes-int-or-string'] === true) return { type: ['string', 'integer'] }
  const result = {}
  for (const key of [
    'type',
    'enum',
    'required',
    'pattern',
    'minimum',
    'maximum',
    'minLength',
    'maxLength',
    'minItems',
    'maxItems',
  ]) {
    if (schema[key] !== undefined) result[key] = schema[key]
  }
  if (schema.items) result.items = strict(schema.items, onReference)
  if (schema.properties) {
    result.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, inner]) => [name, strict(inner, onReference)]),
    )
    if (schema['x-kubernetes-preserve-unknown-fields'] !== true) result.additionalProperties = false
  } else if (typeof schema.additionalProperties === 'object') {
    result.additionalProperties = strict(schema.additionalProperties, onReference)
  }
  return result
}

/** The file name that kubeconform's template `{{.ResourceKind}}{{.KindSuffix}}` expects. */
function save(group, version, kind, schema) {
  schema.properties.apiVersion = { const: group === '' ? version : `${group}/${version}` }
  schema.properties.kind = { const: kind }
  const suffix = group === '' ? version : `${group.split('.')[0]}-${version}`
  const document = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...schema,
    required: ['apiVersion', 'kind', 'metadata'],
  }
  writeFileSync(`${out}${kind.toLowerCase()}-${suffix}.json`, `${JSON.stringify(document)}\n`)
}
