import { z } from 'zod'
import { flag, integer, restart, text, texts } from './fields.ts'

/** As OpenTelemetry writes lists of pairs: `a=b,c=d`; Pomerium takes a list of them, too. */
const pairs = z
  .union([texts, text], { error: 'pairs such as a=b,c=d' })
  .transform((written): string[] => [written].flat().flatMap((item) => item.split(',').filter(Boolean)))

const milliseconds = integer(1, 3_600_000)

/** One signal's own keys, which count before the common ones. */
function otlpKeys<const P extends '' | 'traces_' | 'metrics_'>(prefix: P, signal: string) {
  const name = <const N extends string>(suffix: N) => `otel_exporter_otlp_${prefix}${suffix}` as const
  const common = prefix === '' ? '' : ' Default: the common one.'
  return {
    [name('endpoint')]: text
      .optional()
      .describe(
        prefix === ''
          ? 'Address of an OTLP receiver that speaks HTTP; `/v1/traces` and `/v1/metrics` are put behind it. Default: `http://localhost:4318`.'
          : `Address that takes ${signal}, used as it is. Default: by the common one.`,
      ),
    [name('protocol')]: text.optional().describe(`Of ${signal}: \`http/protobuf\` or \`http/json\`.${common}`),
    [name('headers')]: pairs.optional().meta({
      description: `Headers of each request with ${signal}, \`name=value\`, values percent-encoded.${common}`,
      writeOnly: true,
    }),
    [name('timeout')]: milliseconds
      .optional()
      .describe(`Milliseconds for one request with ${signal}.${prefix === '' ? ' Default: 10000.' : common}`),
  } as Readonly<
    Record<`otel_exporter_otlp_${P}endpoint` | `otel_exporter_otlp_${P}protocol`, z.ZodOptional<typeof text>> &
      Record<`otel_exporter_otlp_${P}headers`, z.ZodOptional<typeof pairs>> &
      Record<`otel_exporter_otlp_${P}timeout`, z.ZodOptional<typeof milliseconds>>
  >
}

/** OpenTelemetry's own variables, in lower case, as Pomerium has them. */
export const telemetryKeys = restart({
  otel_sdk_disabled: flag
    .default(false)
    .describe('`true`: neither traces nor metrics are sent, whatever else is written.'),
  otel_traces_exporter: text
    .default('none')
    .describe('`otlp`: a trace of each request goes to an OTLP receiver. `none`: nothing is recorded.'),
  otel_metrics_exporter: text
    .default('none')
    .describe('`otlp`: the metrics of `/metrics` go to an OTLP receiver as well. `none`, `prometheus`: they do not.'),
  otel_service_name: text.default('postern').describe('`service.name` of all that is sent.'),
  otel_resource_attributes: pairs
    .optional()
    .describe('More attributes of all that is sent: `deployment.environment.name=production,team=platform`.'),
  otel_traces_sampler: text
    .default('parentbased_always_on')
    .describe(
      'Which requests are recorded: `always_on`, `always_off`, `traceidratio`; with `parentbased_` in front a trusted proxy decides for the traces that it began.',
    ),
  otel_traces_sampler_arg: z
    .number({ error: 'a number from 0 to 1' })
    .min(0, { error: 'a number from 0 to 1' })
    .max(1, { error: 'a number from 0 to 1' })
    .default(1)
    .describe('Share of traces that `traceidratio` records.'),
  otel_attribute_value_length_limit: integer(1, 65_536)
    .default(1024)
    .describe('Longest text of an attribute; what is longer is cut.'),
  otel_bsp_schedule_delay: milliseconds.default(5000).describe('Milliseconds between two requests with spans.'),
  otel_bsp_max_queue_size: integer(1, 1_000_000)
    .default(2048)
    .describe('Spans that may wait; more are dropped and counted.'),
  otel_bsp_max_export_batch_size: integer(1, 100_000).default(512).describe('Spans in one request.'),
  otel_metric_export_interval: milliseconds.default(60_000).describe('Milliseconds between two requests with metrics.'),
  ...otlpKeys('', 'traces and metrics'),
  ...otlpKeys('traces_', 'traces'),
  ...otlpKeys('metrics_', 'metrics'),
})

export const TELEMETRY_KEYS = Object.keys(telemetryKeys) as readonly (keyof typeof telemetryKeys)[]
