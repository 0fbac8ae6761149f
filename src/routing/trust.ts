import { isIPv6 } from 'node:net'
import { AppError } from '../errors.ts'
import type { ProxyTrust } from '../config/model.ts'
import { withoutBlanks } from '../lib/blanks.ts'
import { isInside, type Network, parseAddress, parseNetwork } from './address.ts'

/** Whose forwarded headers are believed, ready to be asked for each request. */
export interface CompiledTrust {
  readonly proxies: readonly Network[]
  readonly hops: number
}

/** Throws ERR_CONFIG_INVALID for what is not an address or a network. */
export function compileTrust(trust: ProxyTrust): CompiledTrust {
  const proxies = trust.proxies.map((text) => {
    const network = parseNetwork(text)
    if (!network) throw new AppError('ERR_CONFIG_INVALID', `trusted_proxies: "${text}" is not an address or a network`)
    return network
  })
  return { proxies, hops: trust.hops }
}

/** A trusted proxy named a client whose address cannot be read (RFC 7239 §6.2). Rules on `source_ip` then deny. */
export const UNKNOWN_CLIENT = 'unknown'

export interface Client {
  /** Does a trusted hop speak for it? */
  readonly hop: boolean
  /** Canonical, or `UNKNOWN_CLIENT`. */
  readonly clientIp: string
  /** undefined: a trusted hop named one that is not http or https. */
  readonly scheme: 'http' | 'https' | undefined
}

/**
 * The client's address and scheme. `X-Forwarded-For` and `X-Forwarded-Proto` count only when the peer is trusted: it is
 * in `proxies`, or `proxies` is empty and `hops` is above 0. With `hops` the client is that many entries from the right,
 * otherwise the first untrusted entry from the right. Without the header the peer is the client, as for the health
 * checks of a load balancer. When the chain is too short, or the deciding entry is not an address, the client is
 * unknown: judged by the proxy's own address, a rule for the proxy's network would decide about strangers.
 */
export function clientOf(
  peer: string,
  encrypted: boolean,
  forwardedFor: string | undefined,
  forwardedProto: string | undefined,
  trust: CompiledTrust,
): Client {
  const direct = encrypted ? 'https' : 'http'
  if (!isTrustedPeer(peer, trust)) return { hop: false, clientIp: peer, scheme: direct }
  return {
    hop: true,
    clientIp: forwardedFor === undefined ? peer : forwardedClient(peer, forwardedFor.split(','), trust),
    scheme: forwardedProto === undefined ? direct : forwardedScheme(forwardedProto.split(','), trust),
  }
}

/** Is what this peer says of its client believed? `peer`: canonical. */
export function isTrustedPeer(peer: string, { proxies, hops }: CompiledTrust): boolean {
  return proxies.length > 0 ? isInside(proxies, peer) : hops > 0
}

function forwardedClient(peer: string, chain: readonly string[], { proxies, hops }: CompiledTrust): string {
  if (hops > 0) return addressOf(chain[chain.length - hops]) ?? UNKNOWN_CLIENT
  let client = peer
  for (let i = chain.length - 1; i >= 0 && isInside(proxies, client); i--) {
    const next = addressOf(chain[i])
    if (next === undefined) return UNKNOWN_CLIENT
    client = next
  }
  return client
}

const SCHEMES: ReadonlyMap<string, 'http' | 'https'> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  // What Traefik says of WebSockets.
  ['ws', 'http'],
  ['wss', 'https'],
])

/** The entry of the outermost trusted proxy. Most proxies replace the header, some append to it. */
function forwardedScheme(chain: readonly string[], { hops }: CompiledTrust): 'http' | 'https' | undefined {
  const entry = chain[Math.max(0, chain.length - Math.max(1, hops))]
  return SCHEMES.get(withoutBlanks(entry ?? '').toLowerCase())
}

/** An address alone, or as some load balancers write it: `192.0.2.1:4711`, `[2001:db8::1]`, `[2001:db8::1]:4711`. */
function addressOf(entry: string | undefined): string | undefined {
  const text = withoutBlanks(entry ?? '')
  const [, ipv6, ipv4, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::([1-9]\d{0,4}))?$/.exec(text) ?? []
  if (port !== undefined && Number(port) > 65_535) return undefined
  if (ipv6 !== undefined) return isIPv6(ipv6) ? parseAddress(ipv6) : undefined
  return parseAddress(ipv4 ?? text)
}
