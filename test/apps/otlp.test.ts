/** OpenTelemetry's own classes for Python read what Postern sends. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOtlpReceiver, type OtlpReceiver } from '../support/otlp-receiver.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { installed } from './installed.ts'

const proto = installed('otlp', { from: 'pypi', packages: ['opentelemetry-proto==1.45.2'] })

/** Reads a message from standard input, and prints it as JSON of protobuf. What it does not know is an error. */
const READ = `
import sys
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics

[signal] = sys.argv[1:]
message = traces.ExportTraceServiceRequest() if signal == "traces" else metrics.ExportMetricsServiceRequest()
body = sys.stdin.buffer.read()
message.ParseFromString(body)
again = message.SerializeToString()
message.DiscardUnknownFields()
assert message.SerializeToString() == again, "fields that nobody knows"
print(json_format.MessageToJson(message))
`

type Json = Readonly<Record<string, unknown>>

describe.skipIf(!proto.bin)(proto.name("OpenTelemetry's classes for Python"), () => {
  let receiver: OtlpReceiver
  let world: World
  beforeAll(async () => {
    receiver = await createOtlpReceiver()
    world = await createTestWorld({
      config: {
        metrics_address: '127.0.0.1:0',
        trusted_proxies: ['127.0.0.1'],
        otel_traces_exporter: 'otlp',
        otel_metrics_exporter: 'otlp',
        otel_exporter_otlp_endpoint: receiver.url,
        otel_bsp_schedule_delay: 20,
        otel_metric_export_interval: 200,
      },
      routes: [{ name: 'Café', from: 'http://open.localhost', allow_public_unauthenticated_access: true }],
    })
  }, 200_000)
  afterAll(async () => {
    await world.close()
    await receiver.close()
  })

  function read(signal: 'traces' | 'metrics'): Json {
    const body = receiver.requests.findLast(({ path }) => path === `/v1/${signal}`)?.body ?? Buffer.alloc(0)
    const python = join(proto.bin ?? '', 'python')
    const options = { input: body, timeout: 60_000, encoding: 'utf8' } as const
    return JSON.parse(execFileSync(python, ['-c', READ, signal], options)) as Json
  }

  test('read the spans of a request', async () => {
    const headers = { traceparent: `00-${'a1'.repeat(16)}-${'b2'.repeat(8)}-01`, tracestate: 'a=b' }
    await world.browser().ask('http://open.localhost/x', { headers })
    await expect.poll(() => receiver.requests.some(({ path }) => path === '/v1/traces')).toBe(true)
    const { resourceSpans } = read('traces') as { resourceSpans: { scopeSpans: { spans: Json[] }[] }[] }
    const spans = resourceSpans[0]?.scopeSpans[0]?.spans ?? []
    expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
      ['GET Café', 'SPAN_KIND_SERVER'],
      ['session', 'SPAN_KIND_INTERNAL'],
      ['authz', 'SPAN_KIND_INTERNAL'],
      ['upstream', 'SPAN_KIND_CLIENT'],
    ])
    expect(spans[0]).toMatchObject({
      traceId: Buffer.from('a1'.repeat(16), 'hex').toString('base64'),
      parentSpanId: Buffer.from('b2'.repeat(8), 'hex').toString('base64'),
      traceState: 'a=b',
      flags: 0x301,
      attributes: expect.arrayContaining([
        { key: 'http.route', value: { stringValue: 'Café' } },
        { key: 'http.response.status_code', value: { intValue: '200' } },
      ]),
    })
  })

  test('read the metrics', async () => {
    await world.browser().ask('http://open.localhost/x')
    const requests = receiver.requests.length
    await expect
      .poll(() => receiver.requests.slice(requests).filter(({ path }) => path === '/v1/metrics').length, {
        timeout: 10_000,
      })
      .toBeGreaterThan(1)
    const { resourceMetrics } = read('metrics') as { resourceMetrics: { scopeMetrics: { metrics: Json[] }[] }[] }
    const metrics = new Map(
      (resourceMetrics[0]?.scopeMetrics[0]?.metrics ?? []).map((metric) => [metric['name'], metric]),
    )
    expect(metrics.size).toBeGreaterThan(40)
    expect(metrics.get('postern_authz_decisions_total')).toMatchObject({
      sum: {
        aggregationTemporality: 'AGGREGATION_TEMPORALITY_CUMULATIVE',
        isMonotonic: true,
        dataPoints: [{ asDouble: expect.any(Number) as number }],
      },
    })
    const { histogram } = metrics.get('postern_http_server_request_duration_seconds') as {
      histogram: { dataPoints: { count: string; bucketCounts: string[]; explicitBounds: number[] }[] }
    }
    const [point] = histogram.dataPoints
    expect(point?.explicitBounds).toHaveLength(14)
    expect(point?.bucketCounts.reduce((sum, count) => sum + Number(count), 0)).toBe(Number(point?.count))
  })
})
