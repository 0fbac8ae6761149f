/** Loaded only where telemetry is sent. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { TelemetryConfig } from '../../config/model.ts'
import type { Tracing } from '../../http/exchange.ts'
import type { Clock, Logger } from '../../types.ts'
import type { Registry } from '../registry.ts'
import { numberAttribute, type Sender, textAttribute, TRACES } from './otlp.ts'
import { createOtlpSender } from './sender.ts'
import { createSpanQueue } from './span-queue.ts'
import { createTracing } from './tracing.ts'

export interface Traces {
  readonly tracing: Tracing
  close(): Promise<void>
}

export function openTraces({
  config,
  traces,
  version,
  metrics,
  clock,
  logger,
}: {
  readonly config: TelemetryConfig
  readonly traces: NonNullable<TelemetryConfig['traces']>
  readonly version: string
  readonly metrics: Registry
  readonly clock: Clock
  readonly logger: Logger
}): Traces {
  const sender = createOtlpSender({ what: 'traces', receiver: traces.receiver, shape: TRACES, clock, logger })
  const queue = createSpanQueue({ config: traces, from: senderOf(config, version), sender, clock })
  metrics.totals('telemetry_spans_total', 'Spans of traces, by what became of them.', ['outcome'], () => [
    [['sent'], queue.sent],
    [['dropped'], queue.dropped],
  ])
  return {
    tracing: createTracing({ ...traces, clock, add: (spans) => queue.add(spans) }),
    close: () => queue.close(),
  }
}

/** https://opentelemetry.io/docs/specs/semconv/resource/. What is configured counts more. */
function senderOf({ serviceName, attributes }: TelemetryConfig, version: string): Sender {
  const all = new Map([
    ['service.name', textAttribute('service.name', 'postern')],
    ['service.version', textAttribute('service.version', version)],
    // Of one process: several of a machine are several.
    ['service.instance.id', textAttribute('service.instance.id', randomUUID())],
    ['host.name', textAttribute('host.name', hostname())],
    ['process.pid', numberAttribute('process.pid', process.pid)],
    ['telemetry.sdk.name', textAttribute('telemetry.sdk.name', 'postern')],
    ['telemetry.sdk.language', textAttribute('telemetry.sdk.language', 'nodejs')],
    ['telemetry.sdk.version', textAttribute('telemetry.sdk.version', version)],
    ...attributes.map(([name, value]) => [name, textAttribute(name, value)] as const),
    // Written on its own it counts more than among the attributes; its default does not.
    ...(serviceName === 'postern' ? [] : [['service.name', textAttribute('service.name', serviceName)] as const]),
  ])
  return { resource: { attributes: [...all.values()] }, scope: { name: 'postern', version } }
}
