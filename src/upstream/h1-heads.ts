import { endOfAnswerHead, MAX_ANSWER_HEAD, type ScannedAnswer, scanAnswer } from '../wire/answer.ts'
import { MAX_HINTS, TOO_MANY_HINTS } from './answer.ts'

/** Bytes that one read brings at most. */
export const READ = 64 * 1024
const PARTIAL = MAX_ANSWER_HEAD + READ

/** The bytes behind a head go from `end` to `to`. */
interface Found {
  readonly head: ScannedAnswer
  readonly bytes: Buffer
  readonly end: number
  readonly to: number
}

/** The heads of one answer, as its bytes come: hints, which nobody gets, and then its own. */
export class H1Heads {
  private hints = 0
  /** Of a head what has come, if not all. */
  private partial: Buffer | undefined
  private partialLength = 0

  /** undefined: more must come. A string: what is wrong; constant. */
  read(bytes: Buffer): Found | string | undefined {
    const { partial, partialLength } = this
    if (!partial) return this.readHead(bytes, 0, bytes.length)
    this.partial = undefined
    return this.readHead(partial, partialLength, partialLength + bytes.copy(partial, partialLength))
  }

  /** @param seen up to here there is no end of a head. @param to behind what has come. */
  private readHead(bytes: Buffer, seen: number, to: number): Found | string | undefined {
    for (let at = 0; ; ) {
      const end = endOfAnswerHead(bytes, at, to, Math.max(at, seen))
      if (typeof end === 'string') return end
      if (end === -1) return this.keep(bytes, at, to)
      const head = scanAnswer(bytes, at, end)
      if (typeof head === 'string') return head
      if (head.status >= 200 || head.status === 101) return { head, bytes, end, to }
      // RFC 9110 §8.6, §15.2, RFC 9112 §6.1: no server writes such a 1xx, and readers disagree about what follows it.
      if (head.framing !== 'until-close' || !head.persistent) return 'a 1xx with a body, or that ends the connection'
      if (++this.hints > MAX_HINTS) return TOO_MANY_HINTS
      at = end
    }
  }

  /** A copy, into one buffer: an upstream that sends its head byte by byte costs no more than the bytes. */
  private keep(bytes: Buffer, from: number, to: number): undefined {
    if (from === to) return
    this.partial = bytes.length === PARTIAL ? bytes : Buffer.allocUnsafeSlow(PARTIAL)
    this.partialLength = bytes.copy(this.partial, 0, from, to)
  }
}
