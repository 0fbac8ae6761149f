/** OpenTelemetry's variables and the built program: two workers that send their own traces, one sum of metrics. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { main, openConfig } from '../support/built-program.ts'
import { attributesOf, createOtlpReceiver, type OtlpAttribute } from '../support/otlp-receiver.ts'
import { listenOn, portOf } from '../support/world.ts'

interface Message {
  readonly resourceSpans?: readonly {
    readonly resource: { readonly attributes: readonly OtlpAttribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly { readonly name: string }[] }[]
  }[]
  readonly resourceMetrics?: readonly {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly name: string
        readonly sum?: { readonly dataPoints: readonly { readonly asDouble: number }[] }
      }[]
    }[]
  }[]
}

function ask(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // A connection each: the workers take turns.
    get({ host: '127.0.0.1', port, agent: false, headers: { host: 'open.localhost' } }, (answer) => {
      answer.resume()
      answer.on('end', resolve)
    }).on('error', reject)
  })
}

test('each worker sends its traces, and the last of all is sent at the end', async () => {
  const receiver = await createOtlpReceiver()
  const upstream = await listenOn(createServer((_, res) => void res.end('ok')))
  const folder = mkdtempSync(join(tmpdir(), 'postern-otlp-'))
  const file = join(folder, 'config.yaml')
  const storage = { type: 'embedded', path: join(folder, 'store') }
  writeFileSync(file, openConfig(`http://127.0.0.1:${portOf(upstream)}`, { workers: 2, storage }))
  const child = spawn(process.execPath, [main, 'run', '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_SERVICE_NAME: 'gate',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      // Nothing is sent before the end.
      OTEL_BSP_SCHEDULE_DELAY: '3600000',
      OTEL_METRIC_EXPORT_INTERVAL: '3600000',
    },
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await receiver.close()
    await new Promise((resolve) => upstream.close(resolve))
    rmSync(folder, { recursive: true, force: true })
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`ended with ${code}`)))
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Readonly<Record<string, unknown>>
      if (line['msg'] === 'listening') resolve(Number(String(line['address']).split(':').at(-1)))
    })
  })
  const REQUESTS = 200
  for (let i = 0; i < REQUESTS / 20; i++) await Promise.all(Array.from({ length: 20 }, () => ask(port)))
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])

  const messages = receiver.requests.map(({ body }) => JSON.parse(body.toString()) as Message)
  const traces = messages.flatMap(({ resourceSpans = [] }) => resourceSpans)
  const senders = traces.map(({ resource }) => attributesOf(resource))
  for (const sender of senders)
    expect(sender).toMatchObject({ 'service.name': 'gate', 'deployment.environment.name': 'test' })
  expect(new Set(senders.map((sender) => sender['service.instance.id'])).size).toBe(2)
  const names = traces.flatMap(({ scopeSpans }) => scopeSpans[0]?.spans.map(({ name }) => name) ?? [])
  expect(names.filter((name) => name === 'GET open')).toHaveLength(REQUESTS)

  const metrics = messages.flatMap(({ resourceMetrics = [] }) => resourceMetrics)
  expect(metrics).toHaveLength(1)
  const decisions = metrics[0]?.scopeMetrics[0]?.metrics.find(({ name }) => name === 'postern_authz_decisions_total')
  expect(decisions?.sum?.dataPoints.map(({ asDouble }) => asDouble)).toEqual([REQUESTS])
}, 60_000)
