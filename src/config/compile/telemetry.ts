/** What is sent to an OTLP receiver, and how, as OpenTelemetry's specification reads these variables. */
import { Secret } from '../../lib/secret.ts'
import type { Report } from '../issues.ts'
import type { OtlpReceiver, Outbound, Sampler, TelemetryConfig } from '../model.ts'
import type { GlobalInput } from '../schema.ts'
import { ANY_SCHEME, parseUrl } from './urls.ts'

type Signal = 'traces' | 'metrics'

const DEFAULT_ENDPOINT = 'http://localhost:4318'
const DEFAULT_TIMEOUT = 10_000

/** Absent: nothing is sent. What nobody knows is reported and counts as not written, as the specification wants it. */
export function compileTelemetry(
  globals: GlobalInput,
  outbound: Outbound,
  report: Report,
): TelemetryConfig | undefined {
  if (globals.otel_sdk_disabled) return undefined
  const traces = known('otel_traces_exporter', ['none', 'otlp'], globals, report) === 'otlp'
  const metrics = known('otel_metrics_exporter', ['none', 'otlp', 'prometheus'], globals, report) === 'otlp'
  if (!traces && !metrics) return undefined
  return {
    serviceName: globals.otel_service_name,
    attributes: pairsOf('otel_resource_attributes', globals.otel_resource_attributes ?? [], report),
    ...(traces && {
      traces: {
        receiver: receiverOf('traces', globals, outbound, report),
        sampler: samplerOf(globals, report),
        delay: globals.otel_bsp_schedule_delay,
        queue: globals.otel_bsp_max_queue_size,
        batch: Math.min(globals.otel_bsp_max_export_batch_size, globals.otel_bsp_max_queue_size),
        longest: globals.otel_attribute_value_length_limit,
      },
    }),
    ...(metrics && {
      metrics: {
        receiver: receiverOf('metrics', globals, outbound, report),
        interval: globals.otel_metric_export_interval,
      },
    }),
  }
}

function receiverOf(signal: Signal, globals: GlobalInput, outbound: Outbound, report: Report): OtlpReceiver {
  const own = <const N extends 'endpoint' | 'protocol' | 'headers' | 'timeout'>(name: N) => {
    const key = `otel_exporter_otlp_${signal}_${name}` as const
    return globals[key] === undefined ? (`otel_exporter_otlp_${name}` as const) : key
  }
  const at = own('endpoint')
  const url = parseUrl(globals[at] ?? DEFAULT_ENDPOINT, ANY_SCHEME, [at], report)
  const protocol = own('protocol')
  const headers = own('headers')
  return {
    // Without one that was an error, and nothing starts.
    url:
      at === 'otel_exporter_otlp_endpoint' ? `${(url?.href ?? '').replace(/\/$/, '')}/v1/${signal}` : (url?.href ?? ''),
    encoding: encodingOf(protocol, globals[protocol], report),
    headers: pairsOf(headers, globals[headers] ?? [], report).map(([name, value]) => [
      name.toLowerCase(),
      new Secret(value),
    ]),
    timeout: globals[own('timeout')] ?? DEFAULT_TIMEOUT,
    outbound,
  }
}

function encodingOf(key: string, protocol: string | undefined, report: Report): OtlpReceiver['encoding'] {
  switch (protocol) {
    case 'http/json':
      return 'json'
    case undefined:
    case 'http/protobuf':
      return 'protobuf'
    case 'grpc':
      // Its port does not take HTTP: nothing would ever arrive.
      report.error(
        [key],
        'Postern sends OTLP over HTTP: write http/protobuf, and the port for it (4318) into the endpoint',
      )
      return 'protobuf'
    default:
      report.warning([key], 'not known, so it is http/protobuf; expected http/protobuf or http/json')
      return 'protobuf'
  }
}

const SAMPLERS = ['always_on', 'always_off', 'traceidratio'] as const
const PARENT_BASED = 'parentbased_'

function samplerOf(globals: GlobalInput, report: Report): Sampler {
  const all = [...SAMPLERS, ...SAMPLERS.map((name) => `${PARENT_BASED}${name}` as const)]
  const name = known('otel_traces_sampler', all, globals, report) ?? 'parentbased_always_on'
  const own = name.replace(PARENT_BASED, '')
  return {
    parentDecides: name.startsWith(PARENT_BASED),
    ratio: own === 'always_off' ? 0 : own === 'traceidratio' ? globals.otel_traces_sampler_arg : 1,
  }
}

function known<const T extends string>(
  key: 'otel_traces_exporter' | 'otel_metrics_exporter' | 'otel_traces_sampler',
  values: readonly T[],
  globals: GlobalInput,
  report: Report,
): T | undefined {
  const value = values.find((each) => each === globals[key])
  if (value === undefined)
    report.warning([key], `not known, so it is as if it were not there; expected ${values.join(', ')}`)
  return value
}

/** Never quotes a value: headers hold keys. */
function pairsOf(key: string, written: readonly string[], report: Report): readonly (readonly [string, string])[] {
  return written.flatMap((pair) => {
    const [, name = '', value = ''] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
    const text = name === '' ? undefined : decoded(value)
    if (text !== undefined) return [[name, text] as const]
    report.warning([key], 'one of its pairs is left out; expected name=value with a percent-encoded value')
    return []
  })
}

function decoded(value: string): string | undefined {
  try {
    const text = decodeURIComponent(value)
    // eslint-disable-next-line no-control-regex -- it becomes a header.
    return /[\0-\x1f\x7f]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}
