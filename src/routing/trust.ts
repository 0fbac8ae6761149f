import { AppError } from '../errors.ts'
import type { ProxyTrust } from '../config/model.ts'
import { canonicalAddress, isInside, type Network, parseNetwork } from './address.ts'

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

/**
 * Who asked, and how. `X-Forwarded-For` and `-Proto` count only when the peer is trusted: it is in
 * `proxies`, or `proxies` is empty and `hops` says that every peer is one of our own. With `hops` the
 * client is that many entries from the right; otherwise the first untrusted one from the right. A
 * chain that is too short, or an entry that is no address, ends at the nearest hop we know.
 */
export function clientOf(
  peer: string,
  encrypted: boolean,
  forwardedFor: string,
  forwardedProto: string,
  trust: CompiledTrust,
): { readonly clientIp: string; readonly scheme: 'http' | 'https' } {
  const direct = encrypted ? 'https' : 'http'
  const trusted = trust.proxies.length > 0 ? isInside(trust.proxies, peer) : trust.hops > 0
  if (!trusted) return { clientIp: peer, scheme: direct }
  return {
    clientIp: forwardedFor === '' ? peer : forwardedClient(peer, forwardedFor.split(','), trust),
    scheme: forwardedProto === '' ? direct : (forwardedScheme(forwardedProto.split(','), trust) ?? direct),
  }
}

function forwardedClient(peer: string, chain: readonly string[], { proxies, hops }: CompiledTrust): string {
  if (hops > 0) return addressOf(chain[chain.length - hops]) ?? peer
  let client = peer
  for (let i = chain.length - 1; i >= 0 && isInside(proxies, client); i--) {
    const next = addressOf(chain[i])
    if (next === undefined) break
    client = next
  }
  return client
}

/** The entry that the outermost trusted hop wrote. Most proxies replace the header, some append to it. */
function forwardedScheme(chain: readonly string[], { hops }: CompiledTrust): 'http' | 'https' | undefined {
  const entry = chain[Math.max(0, chain.length - Math.max(1, hops))]?.trim().toLowerCase()
  return entry === 'http' || entry === 'https' ? entry : undefined
}

/** Some load balancers write `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
function addressOf(entry: string | undefined): string | undefined {
  const text = entry?.trim() ?? ''
  const [, bracketed, ipv4] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d+)?$/.exec(text) ?? []
  return canonicalAddress(bracketed ?? ipv4 ?? text)
}
