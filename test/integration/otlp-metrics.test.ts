/** Metrics by OTLP on the running program: what a receiver gets, beside what Prometheus reads. */
import { afterEach, expect, test } from 'vitest'
import { createOtlpReceiver, type OtlpAttribute, type OtlpReceiver, protobufFields } from '../support/otlp-receiver.ts'
import { createTestWorld, type World } from '../support/world.ts'

interface Point {
  readonly attributes: readonly OtlpAttribute[]
  readonly startTimeUnixNano: string
  readonly timeUnixNano: string
  readonly asDouble?: number
  readonly count?: string
  readonly sum?: number
  readonly bucketCounts?: readonly string[]
  readonly explicitBounds?: readonly number[]
}
interface Points {
  readonly dataPoints: readonly Point[]
  readonly aggregationTemporality?: number
  readonly isMonotonic?: boolean
}
interface OtlpMetric {
  readonly name: string
  readonly description: string
  readonly sum?: Points
  readonly gauge?: Points
  readonly histogram?: Points
}

let receiver: OtlpReceiver
let world: World
afterEach(async () => {
  await world.close()
  await receiver.close()
})

async function start(config: Readonly<Record<string, unknown>>): Promise<void> {
  receiver = await createOtlpReceiver()
  world = await createTestWorld({
    config: {
      metrics_address: '127.0.0.1:0',
      otel_metrics_exporter: 'otlp',
      otel_exporter_otlp_endpoint: receiver.url,
      otel_metric_export_interval: 100,
      ...config,
    },
    routes: [{ name: 'a "quoted" \\ name', from: 'http://open.localhost', allow_public_unauthenticated_access: true }],
  })
}

function last(): readonly OtlpMetric[] {
  const message = JSON.parse(receiver.requests.at(-1)?.body.toString() ?? '{}') as {
    readonly resourceMetrics?: readonly {
      readonly scopeMetrics: readonly { readonly metrics: readonly OtlpMetric[] }[]
    }[]
  }
  return message.resourceMetrics?.[0]?.scopeMetrics[0]?.metrics ?? []
}

async function prometheus(): Promise<string> {
  const port = world.app.operations.metrics?.address.port ?? 0
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
}

const LABELS = String.raw`route="a \"quoted\" \\ name",method="GET",code="200"`

test('are those that Prometheus reads: names, labels, kinds and numbers', async () => {
  await start({ otel_exporter_otlp_protocol: 'http/json' })
  for (let i = 0; i < 7; i++) await world.browser().ask('http://open.localhost/x')
  const requests = (): Point | undefined =>
    last().find(({ name }) => name === 'postern_http_server_request_duration_seconds')?.histogram?.dataPoints[0]
  await expect.poll(() => requests()?.count).toBe('7')
  // Okta is asked a moment after the start; until then its metrics have no value.
  await expect.poll(() => last().some(({ name }) => name === 'postern_directory_requests_total')).toBe(true)
  expect(receiver.requests[0]?.path).toBe('/v1/metrics')
  expect(receiver.resource()).toMatchObject({ 'service.name': 'postern' })

  const text = await prometheus()
  const metrics = last()
  const kinds = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)/gm)].map(([, name = '', kind]) => [name, kind]))
  // What has no value has no point.
  const withSamples = [...kinds.keys()].filter((name) => new RegExp(`^${name}(?:_bucket)?[ {]`, 'm').test(text))
  // Between the two readings the process may have collected garbage for the first time.
  const steady = (names: readonly string[]): readonly string[] =>
    names.filter((name) => !name.includes('_gc_')).toSorted()
  expect(steady(metrics.map(({ name }) => name))).toEqual(steady(withSamples))
  for (const metric of metrics) {
    const kind = kinds.get(metric.name)
    expect(Object.keys(metric), metric.name).toContain(kind === 'counter' ? 'sum' : kind)
    expect(metric.description).not.toBe('')
    const points = metric.sum ?? metric.histogram
    if (points) expect(points.aggregationTemporality, metric.name).toBe(2)
    if (metric.sum) expect(metric.sum.isMonotonic, metric.name).toBe(true)
  }

  const point = requests()
  expect(point?.attributes).toEqual([
    { key: 'route', value: { stringValue: 'a "quoted" \\ name' } },
    { key: 'method', value: { stringValue: 'GET' } },
    { key: 'code', value: { stringValue: '200' } },
  ])
  expect(point?.bucketCounts).toHaveLength((point?.explicitBounds?.length ?? 0) + 1)
  expect(point?.bucketCounts?.reduce((total, count) => total + Number(count), 0)).toBe(7)
  const upTo = (bound: number): number =>
    (point?.explicitBounds ?? []).reduce(
      (total, each, i) => (each <= bound ? total + Number(point?.bucketCounts?.[i]) : total),
      0,
    )
  for (const bound of point?.explicitBounds ?? [])
    expect(text).toContain(
      `postern_http_server_request_duration_seconds_bucket{le="${bound}",${LABELS}} ${upTo(bound)}`,
    )
  expect(text).toContain(`postern_http_server_request_duration_seconds_sum{${LABELS}} ${point?.sum}`)
  expect(BigInt(point?.startTimeUnixNano ?? 0)).toBeLessThan(BigInt(point?.timeUnixNano ?? 0))
})

test('are sent once more at the end, and cost nothing while the receiver is away', async () => {
  await start({ otel_exporter_otlp_protocol: 'http/json', otel_metric_export_interval: 3_600_000 })
  await world.browser().ask('http://open.localhost/x')
  expect(receiver.requests).toEqual([])
  await world.app.close()
  const decisions = last().find(({ name }) => name === 'postern_authz_decisions_total')
  expect(decisions?.sum?.dataPoints.map(({ asDouble }) => asDouble)).toEqual([1])
})

test('are the same in protobuf', async () => {
  await start({})
  await world.browser().ask('http://open.localhost/x')
  await expect.poll(() => receiver.requests.length).toBeGreaterThan(1)
  const within = (bytes: Buffer, field: number): Buffer[] =>
    protobufFields(bytes).flatMap((each) => (each.field === field && Buffer.isBuffer(each.value) ? [each.value] : []))
  // ExportMetricsServiceRequest.resource_metrics = 1, ResourceMetrics.scope_metrics = 2, ScopeMetrics.metrics = 2.
  const metrics = within(receiver.requests.at(-1)?.body ?? Buffer.alloc(0), 1)
    .flatMap((each) => within(each, 2))
    .flatMap((each) => within(each, 2))
  const named = new Map(metrics.map((metric) => [within(metric, 1)[0]?.toString(), metric]))
  // Metric.sum = 7, Sum.data_points = 1, NumberDataPoint.as_double = 4.
  const decisions = within(named.get('postern_authz_decisions_total') ?? Buffer.alloc(0), 7).flatMap((sum) =>
    within(sum, 1),
  )
  expect(decisions.map((point) => within(point, 4)[0]?.readDoubleLE())).toEqual([1])
  // Metric.histogram = 9, HistogramDataPoint.count = 4, bucket_counts = 6 and explicit_bounds = 7, packed.
  const [histogram = Buffer.alloc(0)] = within(
    named.get('postern_http_server_request_duration_seconds') ?? Buffer.alloc(0),
    9,
  ).flatMap((each) => within(each, 1))
  expect(within(histogram, 4)[0]?.readBigUInt64LE()).toBe(1n)
  expect(within(histogram, 7)[0]?.readDoubleLE()).toBe(0.005)
  expect(within(histogram, 6)[0]?.length).toBe((within(histogram, 7)[0]?.length ?? 0) + 8)
})
