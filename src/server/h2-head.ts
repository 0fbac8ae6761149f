/**
 * The head of a request of HTTP/2 (RFC 9113 §8), as the HTTP/1.1 request that it stands for: `Host` for `:authority`, one
 * `Cookie` line for its crumbs, an upgrade for the extended CONNECT of a WebSocket (RFC 8441). So there is one reader of
 * what was asked (routing/target.ts), and what it judges is what is forwarded.
 */
import { type Asked, askedFor } from '../http/asked.ts'
import { randomBytes } from 'node:crypto'
import { MAX_LIST } from '../wire/h2-peer.ts'
import { FIELD_OVERHEAD, type FieldSink } from '../wire/hpack.ts'

const MAX_FIELDS = 1000

/** RFC 9113 §8.2.1, and as strict as HTTP/1.1: a token in lower case. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
/** No control characters, no space at either end. */
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/
/** RFC 9113 §8.2.2. */
const OF_CONNECTION = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])
const PSEUDO = new Set([':method', ':scheme', ':authority', ':path', ':protocol'])
const LENGTH = /^(?:0|[1-9]\d{0,14})$/

export type Head =
  | { readonly kind: 'request'; readonly request: Request }
  | Refused
  /** A stream error (RFC 9113 §8.1.1). `detail` is constant. */
  | { readonly kind: 'malformed'; readonly detail: string; readonly asked: Asked }

/** To be answered with this status. */
export interface Refused {
  readonly kind: 'refused'
  readonly status: 417 | 431 | 501
  readonly detail: string
  readonly asked: Asked
}

export interface Request {
  readonly method: string
  readonly target: string
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[]
  /** Does it ask for a WebSocket? */
  readonly upgrade: boolean
  /** `Content-Length`. */
  readonly length: number | undefined
  /** `Expect: 100-continue`. */
  readonly expectsContinue: boolean
  /** `TE: trailers` (RFC 9110 §10.1.4). */
  readonly takesTrailers: boolean
}

/** Takes the fields of one block. */
export class HeadReader implements FieldSink {
  private readonly pseudo = new Map<string, string>()
  private readonly fields: string[] = []
  private cookieAt = -1
  private host: string | undefined
  private length: number | undefined
  private expectation: string | undefined
  private takesTrailers = false
  private octets = 0
  private problem: string | undefined
  private readonly encrypted: boolean

  constructor(encrypted: boolean) {
    this.encrypted = encrypted
  }

  field(name: string, value: string): void {
    this.octets += name.length + value.length + FIELD_OVERHEAD
    // The rest is decoded, for the sake of the table, and not kept.
    if (this.problem !== undefined || this.isTooLarge) return
    this.problem = name.charCodeAt(0) === 0x3a ? this.takePseudo(name, value) : this.take(name, value)
  }

  private get isTooLarge(): boolean {
    return this.octets > MAX_LIST || this.fields.length > 2 * MAX_FIELDS
  }

  private takePseudo(name: string, value: string): string | undefined {
    if (!PSEUDO.has(name)) return 'an unknown pseudo-header field'
    if (this.fields.length > 0) return 'a pseudo-header field behind a regular one'
    if (this.pseudo.has(name)) return 'a pseudo-header field twice'
    if (!VALUE.test(value)) return 'an invalid field value'
    this.pseudo.set(name, value)
    return undefined
  }

  private take(name: string, value: string): string | undefined {
    if (!NAME.test(name)) return 'an invalid field name'
    if (!VALUE.test(value)) return 'an invalid field value'
    switch (name) {
      case 'cookie':
        if (this.cookieAt >= 0) {
          // RFC 9113 §8.2.3.
          this.fields[this.cookieAt] += `; ${value}`
          return undefined
        }
        this.cookieAt = this.fields.length + 1
        break
      case 'host':
        if (this.host !== undefined) return 'more than one Host'
        this.host = value
        break
      case 'content-length':
        if (this.length !== undefined || !LENGTH.test(value)) return 'an invalid Content-Length'
        this.length = Number(value)
        break
      case 'te':
        if (value.toLowerCase() !== 'trailers') return 'a TE other than trailers'
        this.takesTrailers = true
        break
      case 'expect':
        this.expectation = value.toLowerCase()
        break
      default:
        if (OF_CONNECTION.has(name)) return 'a connection-specific field'
    }
    this.fields.push(name, value)
    return undefined
  }

  /** As far as it was read. */
  private asked(): Asked {
    const { pseudo, host } = this
    return askedFor(pseudo.get(':method'), pseudo.get(':path'), pseudo.get(':authority') ?? host)
  }

  private malformed(detail: string): Head {
    return { kind: 'malformed', detail, asked: this.asked() }
  }

  private refused(status: Refused['status'], detail: string): Head {
    return { kind: 'refused', status, detail, asked: this.asked() }
  }

  /** Call it behind the last field. */
  head(): Head {
    if (this.problem !== undefined) return this.malformed(this.problem)
    if (this.isTooLarge) return this.refused(431, 'header section too large')
    const { pseudo } = this
    const method = pseudo.get(':method')
    const scheme = pseudo.get(':scheme')
    const authority = pseudo.get(':authority')
    const path = pseudo.get(':path')
    const protocol = pseudo.get(':protocol')
    if (method === undefined) return this.malformed('no :method')
    if (method === 'CONNECT' && protocol === undefined) {
      if (scheme !== undefined || path !== undefined || authority === undefined)
        return this.malformed('an invalid CONNECT')
      return this.request(method, authority, authority)
    }
    if (protocol !== undefined && method !== 'CONNECT') return this.malformed(':protocol without CONNECT')
    if (scheme === undefined || path === undefined) return this.malformed('no :scheme or no :path')
    // Behind something that ends TLS for us either may be right.
    if (scheme !== 'https' && (this.encrypted || scheme !== 'http')) return this.malformed('another :scheme')
    if (!path.startsWith('/') && path !== '*') return this.malformed('an invalid :path')
    if (protocol === undefined) return this.request(method, path, authority)
    if (protocol !== 'websocket') return this.refused(501, 'unknown :protocol (RFC 9220 §3)')
    return this.webSocket(path, authority)
  }

  private request(method: string, target: string, authority: string | undefined): Head {
    return this.made(method, target, this.withHost(authority), false)
  }

  /** With the handshake of RFC 6455, which RFC 8441 §5 leaves out. */
  private webSocket(target: string, authority: string | undefined): Head {
    const fields = this.withHost(authority)
    for (let i = fields.length - 2; i >= 0; i -= 2) if (fields[i] === 'sec-websocket-key') fields.splice(i, 2)
    fields.push('connection', 'Upgrade', 'upgrade', 'websocket')
    fields.push('sec-websocket-key', randomBytes(16).toString('base64'))
    return this.made('GET', target, fields, true)
  }

  /** `Host` and an `:authority` that differ are two hosts, and refused as such (RFC 9113 §8.3.1). */
  private withHost(authority: string | undefined): string[] {
    return authority === undefined || authority === this.host ? this.fields : ['host', authority, ...this.fields]
  }

  private made(method: string, target: string, rawHeaders: readonly string[], upgrade: boolean): Head {
    const { length, expectation, takesTrailers } = this
    const expectsContinue = expectation !== undefined
    if (expectsContinue && expectation !== '100-continue') {
      return this.refused(417, 'unknown expectation')
    }
    return { kind: 'request', request: { method, target, rawHeaders, upgrade, length, expectsContinue, takesTrailers } }
  }
}

/** Trailers of a request are dropped; they must be well-formed all the same (RFC 9113 §8.1). */
export class TrailerReader implements FieldSink {
  valid = true
  private octets = 0

  field(name: string, value: string): void {
    this.octets += name.length + value.length + FIELD_OVERHEAD
    if (this.octets > MAX_LIST) this.valid = false
    else if (!NAME.test(name) || !VALUE.test(value) || OF_CONNECTION.has(name)) this.valid = false
  }
}
