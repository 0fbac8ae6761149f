import { FIELD_OVERHEAD, type FieldSink } from '../wire/hpack.ts'
import { MAX_ANSWER_HEAD } from '../wire/answer.ts'

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const OF_CONNECTION = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])
const LENGTH = /^(?:0|[1-9]\d{0,14})$/

/** The fields of one block of an answer (RFC 9113 §8.3.2): of its head, of a hint or of its trailers. */
export class AnswerFields implements FieldSink {
  status: number | undefined
  /** `Content-Length`. */
  length: number | undefined
  /** Names and values in turn. */
  readonly fields: string[] = []
  /** What is wrong, in words; constant. */
  problem: string | undefined
  private octets = 0

  field(name: string, value: string): void {
    this.octets += name.length + value.length + FIELD_OVERHEAD
    if (this.problem === undefined) this.problem = this.take(name, value)
  }

  private take(name: string, value: string): string | undefined {
    if (this.octets > MAX_ANSWER_HEAD) return `the header of its answer is longer than ${MAX_ANSWER_HEAD} bytes`
    if (name === ':status') {
      if (this.status !== undefined || this.fields.length > 0 || !/^[1-9]\d\d$/.test(value)) return 'an invalid :status'
      this.status = Number(value)
      return undefined
    }
    if (!NAME.test(name)) return 'an invalid field name'
    if (!VALUE.test(value)) return 'a control character in a field value'
    if (OF_CONNECTION.has(name)) return 'a connection-specific field'
    if (name === 'content-length') {
      if (this.length !== undefined || !LENGTH.test(value)) return 'an invalid Content-Length'
      this.length = Number(value)
    }
    this.fields.push(name, value)
    return undefined
  }

  /** By name; several lines of one are a list. */
  trailers(): Readonly<Record<string, readonly string[]>> {
    const all = Object.create(null) as Record<string, string[]>
    for (let i = 0; i + 1 < this.fields.length; i += 2) {
      ;(all[this.fields[i] as string] ??= []).push(this.fields[i + 1] as string)
    }
    return all
  }
}
