/**
 * What is sent to a receiver, as OTLP's JSON has it, and the numbers of the fields for its protobuf form
 * (https://github.com/open-telemetry/opentelemetry-proto, v1.7).
 */
import type { Shape } from './protobuf.ts'

/** 64-bit numbers are decimal digits: JSON of OTLP has them so. */
type Digits = string

export interface KeyValue {
  readonly key: string
  readonly value: { readonly stringValue: string } | { readonly intValue: Digits }
}

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly traceState?: string | undefined
  readonly parentSpanId?: string | undefined
  /** Of the parent: 1 sampled, 0x100 and 0x200 it is known to be of another process. */
  readonly flags: number
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: Digits
  readonly endTimeUnixNano: Digits
  readonly attributes: readonly KeyValue[]
  readonly status?: { readonly code: number } | undefined
}

export const SPAN_KIND = { internal: 1, server: 2, client: 3 } as const
export const STATUS_ERROR = 2
export const CUMULATIVE = 2

interface Scope {
  readonly name: string
  readonly version: string
}

/** Who sends it. */
export interface Sender {
  readonly resource: { readonly attributes: readonly KeyValue[] }
  readonly scope: Scope
}

export function textAttribute(key: string, stringValue: string): KeyValue {
  return { key, value: { stringValue } }
}

export function numberAttribute(key: string, value: number): KeyValue {
  return { key, value: { intValue: String(value) } }
}

export function tracesMessage({ resource, scope }: Sender, spans: readonly Span[]): object {
  return { resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] }
}

interface Point {
  readonly startTimeUnixNano: Digits
  readonly timeUnixNano: Digits
  readonly attributes: readonly KeyValue[]
}

export interface NumberPoint extends Point {
  readonly asDouble: number
}

export interface HistogramPoint extends Point {
  readonly count: Digits
  readonly sum: number
  /** One more than there are bounds. */
  readonly bucketCounts: readonly Digits[]
  readonly explicitBounds: readonly number[]
}

export type OtlpMetric = { readonly name: string; readonly description: string } & (
  | { readonly gauge: { readonly dataPoints: readonly NumberPoint[] } }
  | {
      readonly sum: {
        readonly dataPoints: readonly NumberPoint[]
        readonly aggregationTemporality: number
        readonly isMonotonic: true
      }
    }
  | { readonly histogram: { readonly dataPoints: readonly HistogramPoint[]; readonly aggregationTemporality: number } }
)

export function metricsMessage({ resource, scope }: Sender, metrics: readonly OtlpMetric[]): object {
  return { resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }] }
}

const VALUE: Shape = { stringValue: [1, 'string'], intValue: [3, 'int64'] }
const ATTRIBUTES = (number: number) => [number, { key: [1, 'string'], value: [2, VALUE] }, 'repeated'] as const
const RESOURCE: Shape = { attributes: ATTRIBUTES(1) }
const SCOPE: Shape = { name: [1, 'string'], version: [2, 'string'] }

const SPAN: Shape = {
  traceId: [1, 'hex'],
  spanId: [2, 'hex'],
  traceState: [3, 'string'],
  parentSpanId: [4, 'hex'],
  name: [5, 'string'],
  kind: [6, 'enum'],
  startTimeUnixNano: [7, 'fixed64'],
  endTimeUnixNano: [8, 'fixed64'],
  attributes: ATTRIBUTES(9),
  status: [15, { code: [3, 'enum'] }],
  flags: [16, 'fixed32'],
}

export const TRACES: Shape = {
  resourceSpans: [
    1,
    { resource: [1, RESOURCE], scopeSpans: [2, { scope: [1, SCOPE], spans: [2, SPAN, 'repeated'] }, 'repeated'] },
    'repeated',
  ],
}

const NUMBER_POINT: Shape = {
  startTimeUnixNano: [2, 'fixed64'],
  timeUnixNano: [3, 'fixed64'],
  asDouble: [4, 'double'],
  attributes: ATTRIBUTES(7),
}
const HISTOGRAM_POINT: Shape = {
  startTimeUnixNano: [2, 'fixed64'],
  timeUnixNano: [3, 'fixed64'],
  count: [4, 'fixed64'],
  sum: [5, 'double'],
  bucketCounts: [6, 'fixed64', 'repeated'],
  explicitBounds: [7, 'double', 'repeated'],
  attributes: ATTRIBUTES(9),
}
const TEMPORALITY = { aggregationTemporality: [2, 'enum'] } as const
const METRIC: Shape = {
  name: [1, 'string'],
  description: [2, 'string'],
  gauge: [5, { dataPoints: [1, NUMBER_POINT, 'repeated'] }],
  sum: [7, { dataPoints: [1, NUMBER_POINT, 'repeated'], ...TEMPORALITY, isMonotonic: [3, 'bool'] }],
  histogram: [9, { dataPoints: [1, HISTOGRAM_POINT, 'repeated'], ...TEMPORALITY }],
}

export const METRICS: Shape = {
  resourceMetrics: [
    1,
    { resource: [1, RESOURCE], scopeMetrics: [2, { scope: [1, SCOPE], metrics: [2, METRIC, 'repeated'] }, 'repeated'] },
    'repeated',
  ],
}
