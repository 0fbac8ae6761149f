// Generates docs/metrics.md from the metrics of a Postern that runs, with everything that registers some.
// `--print` writes the page to stdout instead; a test compares.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseConfig } from '../dist/src/config/load.js'
import { startApp } from '../dist/src/single.js'

/** What a label says, and which values it may have: never what a client chose. */
const LABELS = {
  code: 'HTTP status; `0`: no answer.',
  decision: '`allow`, `sign-in`, `deny`, `bad-token`, `unavailable`.',
  endpoint: "Bucket of Okta's rate limits, `/api/v1/users`.",
  kind: 'Of a garbage collection: `major`, `minor`, `incremental`, `weakcb`.',
  leading: '`true`, `false`: whether this process reads the changes.',
  method: '`GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS`; any other is `_OTHER`.',
  mode: 'How changes are found: `log`, `delta`.',
  name: '`listener`, or the host of a certificate by ACME.',
  node: 'Version of Node.js.',
  op: 'What was asked of the store: `get`, `put`, `write`, `take`, `delete`, `lease`, `owe`, `ping`.',
  outcome:
    'Of a refresh: `renewed`, `refused`, `mismatch`, `failed`; of a signal: `taken`, `refused`; of an order: `issued`, `failed`; of a span: `sent`, `dropped`.',
  reason:
    'Of a decision: its first reason, as in the log ([policy.md](policy.md)). Of an upstream: its error code without `ERR_UPSTREAM_`, in lower case. Of a sign-in: HTTP status or error code.',
  result: '`ok`, `failed`.',
  route: '`name` of the route; `_none`: the request has none.',
  shadow_decision: 'As `decision`, by `shadow_policy`.',
  signal: 'What a provider sent: `back-channel-logout`, `universal-logout`, `shared-signal`.',
  space: 'Of the heap of V8.',
  step: '`start`, `callback`, `handoff`, `sign-out`.',
  type: 'Of what keeps the process alive, by Node.js.',
  upstream: 'Origin of `to`.',
  version: 'Of Postern; of Node.js: the whole version.',
  major: 'Of the version of Node.js.',
  minor: 'Of the version of Node.js.',
  patch: 'Of the version of Node.js.',
}

const file = fileURLToPath(new URL('../docs/metrics.md', import.meta.url))
const metrics = await read()
const used = new Set(metrics.flatMap(({ labels }) => labels))
for (const label of used)
  if (!(label in LABELS)) throw new Error(`scripts/metrics-docs.mjs: what is the label ${label}?`)
for (const label of Object.keys(LABELS))
  if (!used.has(label)) throw new Error(`scripts/metrics-docs.mjs: no metric has the label ${label}`)

const ofProcess = ({ name }) => /^postern_(?:process|nodejs)_/.test(name)
const page = `# Metrics

Written by \`npm run docs\` from a Postern that runs. \`metrics_address\` has them in Prometheus' text form, \`otel_metrics_exporter\` sends them by OTLP ([observability.md](observability.md)). Totals count since the start. With \`workers\` they are those of all processes together: sums, of ages the oldest, of limits the least.

What labels say is configured or of a closed list, never a user, a group or a path: however many requests there are, the number of series is bounded.

${table(metrics.filter((metric) => !ofProcess(metric)))}

## The process

Of Node.js, by prom-client.

${table(metrics.filter(ofProcess))}

## Labels

| label | values |
|---|---|
${Object.keys(LABELS)
  .toSorted()
  .map((label) => `| \`${label}\` | ${LABELS[label]} |`)
  .join('\n')}
`
if (process.argv.includes('--print')) process.stdout.write(page)
else writeFileSync(file, page)

function table(rows) {
  const cells = rows
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
    .map(({ name, type, labels, help }) => {
      const list = labels.map((label) => `\`${label}\``).join(', ')
      return `| \`${name}\` | ${type} | ${list} | ${unitOf(name)} | ${help
        .trim()
        .replaceAll('|', '\\|')
        .replace(/(?<![.:])$/, '.')} |`
    })
  return `| metric | type | labels | unit | meaning |\n|---|---|---|---|---|\n${cells.join('\n')}`
}

function unitOf(name) {
  if (/_timestamp_seconds$|_start_time_seconds$/.test(name)) return 'Unix time in seconds'
  return /_(seconds|bytes)(?:_total)?$/.exec(name)?.[1] ?? ''
}

async function read() {
  const settings = {
    authenticate_service_url: 'http://authenticate.localhost',
    address: '127.0.0.1:0',
    metrics_address: '127.0.0.1:0',
    shared_secret: randomBytes(32).toString('base64'),
    idp_provider_url: 'http://provider.localhost:1',
    idp_client_id: 'postern',
    idp_client_secret: 'of nobody',
    storage: { type: 'memory' },
    otel_traces_exporter: 'otlp',
  }
  const loaded = parseConfig(JSON.stringify(settings), 'config.yaml', {}, () => '')
  if (loaded.kind !== 'ok') throw new Error(JSON.stringify(loaded.issues))
  const quiet = () => {}
  const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, line: quiet, audit: quiet }
  const app = await startApp({ config: loaded.config, logger })
  try {
    return await app.operations.read()
  } finally {
    await app.close()
  }
}
