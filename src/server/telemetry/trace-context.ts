/** W3C Trace Context (https://www.w3.org/TR/trace-context/): who began the trace that a request belongs to. */
import type { HeaderLines } from '../../http/header-lines.ts'

export interface Parent {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
  /** `tracestate`; '': there is none that can be passed on. */
  readonly state: string
}

/** version, trace id, parent id, flags; later versions may say more. */
const PARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
/** Printable ASCII; receivers must take 512 characters. */
const STATE = /^[\x20-\x7e]{1,512}$/
const SAMPLED = 1

/** undefined: the request begins a trace, or what it says of one cannot be read. */
export function parentOf(headers: HeaderLines): Parent | undefined {
  let parent: string | undefined
  let state = ''
  for (let i = 0; i < headers.count; i++) {
    const { lower } = headers.name(i)
    if (lower === 'traceparent') {
      if (parent !== undefined) return undefined
      parent = headers.value(i)
    } else if (lower === 'tracestate') {
      state = state === '' ? headers.value(i) : `${state},${headers.value(i)}`
    }
  }
  const [, version, traceId = '', spanId = '', flags = '', more] = PARENT.exec(parent ?? '') ?? []
  if (version === undefined || (version === '00' && more !== undefined)) return undefined
  const sampled = (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED
  return { traceId, spanId, sampled, state: STATE.test(state) ? state : '' }
}

export function traceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}
