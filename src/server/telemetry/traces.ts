/** Loaded only where traces are sent. */
import type { TelemetryConfig } from '../../config/model.ts'
import type { Tracing } from '../../http/exchange.ts'
import type { Clock, Logger, WaitingFor } from '../../types.ts'
import type { Registry } from '../registry.ts'
import { TRACES } from './otlp.ts'
import { senderOf } from './resource.ts'
import { createOtlpSender } from './sender.ts'
import { createSpanQueue } from './span-queue.ts'
import { createTracing } from './tracing.ts'

export interface Traces {
  readonly tracing: Tracing
  readonly waitingFor: WaitingFor
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
    ...createTracing({ ...traces, clock, add: (spans) => queue.add(spans) }),
    close: () => queue.close(),
  }
}
