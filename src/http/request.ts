/** What a client asked. Types only. */
import type { Asked } from './asked.ts'
import type { HeaderLines } from './header-lines.ts'
import type { WallTime } from '../types.ts'

/** The head of a request exactly as it came, whatever carried it. */
export interface RequestHead {
  readonly method: string
  /** The request-target, verbatim. */
  readonly target: string
  readonly headers: HeaderLines
  readonly httpVersion: '1.0' | '1.1' | '2.0'
  /** Address of the connection's other end; undefined: it is gone. */
  readonly peer: string | undefined
  /** Does the connection itself use TLS? */
  readonly encrypted: boolean
  /** Of the connection itself; absent: it has no TLS. */
  readonly connection?: ConnectionFacts | undefined
  /** Does it ask for a WebSocket? */
  readonly upgrade: boolean
  /** The other protocol that it asks for, in lower case. It is ignored (RFC 9110 §7.8) unless the route allows it. */
  readonly upgradeTo?: string | undefined
}

/** What a TLS handshake said. One frozen object for each connection. */
export interface ConnectionFacts {
  /** Server name (RFC 6066 §3), lower case; absent: none was sent. */
  readonly serverName?: string | undefined
  /** `DownstreamMtls.version` by which it was asked for a certificate; absent: it was not. */
  readonly downstreamMtls?: string | undefined
  /** Absent: none was shown. */
  readonly certificate?: ClientCertificate | undefined
}

/** What a client has shown in its handshake, and what came of checking it then. */
export interface ClientCertificate {
  /** SHA-256 of the certificate, in hex, lower case. */
  readonly fingerprint: string
  /** SHA-256 of its public key (SPKI), in base64. */
  readonly spkiHash: string
  readonly names: SubjectAltNames
  /** When the first certificate of its chain ends. */
  readonly notAfter: WallTime
  /** Why it is not believed; undefined: nothing was wrong. */
  readonly fault: string | undefined
  /** `DownstreamMtls.version` by which it was checked. */
  readonly checkedBy: string
}

/** RFC 5280 §4.2.1.6, by kind, as they are written there. */
export interface SubjectAltNames {
  readonly dns: readonly string[]
  readonly email: readonly string[]
  readonly ipAddress: readonly string[]
  readonly uri: readonly string[]
  /** Of Microsoft's directories: `ann@ad.corp.example`. */
  readonly userPrincipalName: readonly string[]
}

/** The ways in which servers read a path, where they differ. */
export interface PathReadings {
  /** Slashes merged, escaped slashes as they are. */
  readonly path: string
  /** Empty segments kept; undefined: it has none. */
  readonly unmerged: string | undefined
  /** Escaped slashes decoded, then slashes merged; undefined: it has none. */
  readonly decoded: string | undefined
}

/** What was asked, read once from the head by routing/target.ts. These facts are judged, and they are what is forwarded. */
export interface RequestFacts {
  /** Request id, ours or that of a trusted hop: shown to people, logged, sent upstream. */
  readonly id: string
  readonly method: string
  /** Canonical: lower case, no trailing dot, no port; `''` for a request of HTTP/1.0 without one. */
  readonly host: string
  readonly port: number | undefined
  /** Canonical path: begins with `/`, dot segments removed, unreserved octets decoded, slashes merged. */
  readonly path: string
  /** Absent: every server reads the path in one way. */
  readonly readings?: PathReadings | undefined
  /** `''`, or `?` and the bytes that followed it, unchanged. */
  readonly query: string
  /** Canonical; `unknown` when a trusted hop spoke for the client and its address cannot be read. */
  readonly clientIp: string
  /** Does a trusted hop speak for the client? Absent: no. */
  readonly hop?: boolean
  /** Of the connection: with a trusted hop it is the hop's. Absent: none was shown. */
  readonly clientCertificate?: ClientCertificate | undefined
  /** How the client spoke to us or, when a trusted hop says so, to that hop. */
  readonly scheme: 'http' | 'https'
  /** `html`: a navigation, so a person looks at the answer. `json`: anything else. `upgrade`: asks for a WebSocket. */
  readonly wants: 'html' | 'json' | 'upgrade'
  /** See `RequestHead`. */
  readonly upgradeTo?: string | undefined
  /** All Cookie lines joined with `; `; `''` when there is none. */
  readonly cookie: string
  /** Absent: none was sent. */
  readonly authorization?: string | undefined
  /** `authorization` was for us: it is in no `headers`, and is not forwarded. */
  readonly consumed?: true
  readonly origin: string | undefined
  readonly userAgent: string
  /** A browser sent it, for a page or for a script. Absent: most likely a program. */
  readonly browser?: true | undefined
  readonly headers: HeaderView
}

/** Headers as rules may look at them. */
export interface HeaderView {
  /**
   * All values of the header, joined with `, ` (RFC 9110 §5.3); undefined when the client sent none. What is dropped or
   * written by Postern before the upstream sees it, the client did not send; cookies are `cookie`. Throws ERR_BAD_REQUEST
   * when the name was sent in another spelling that CGI and its like take for it (`X_Env` for `x-env`): a rule would see
   * one value and the application another.
   * @param name lower case.
   */
  get(name: string): string | undefined
}

export interface BadRequest {
  readonly kind: 'bad-request'
  readonly id: string
  readonly status: 400 | 405 | 408 | 414 | 417 | 421 | 431 | 501
  /** Short and constant: never echoes what was sent. */
  readonly detail: string
  readonly clientIp: string
  /** As much as could be read. */
  readonly asked?: Asked
  /** `html`: a person looks at the answer. */
  readonly wants: 'html' | 'json'
}
