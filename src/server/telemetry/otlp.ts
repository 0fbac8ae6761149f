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
  readonly traceState?: string
  readonly parentSpanId?: string
  /** Of the parent: 1 sampled, 0x100 and 0x200 it is known to be of another process. */
  readonly flags: number
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: Digits
  readonly endTimeUnixNano: Digits
  readonly attributes: readonly KeyValue[]
  readonly status?: { readonly code: number }
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
