/**
 * Stops a request that comes back to the route that forwarded it, as the address of an upstream that is Postern's own
 * would have it do until something breaks. Each route adds its mark to a list; a list that holds it already is 508
 * (RFC 5842 §7.2). The same idea as `Via` (RFC 9110 §7.6.3), which is not used because servers compress less behind it.
 */
import { AppError } from '../errors.ts'
import { mac } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'

/** One route of one deployment: every replica makes the same mark, and nobody without the shared secret makes any. */
export interface HopMark {
  /** What the upstream gets for what came in. Throws ERR_LOOP when the request was here before. */
  next(received: string): string
}

/** More routes of Postern in a row than anybody needs; a chain through deployments with other secrets ends here, too. */
const MAX_HOPS = 16
const MARK = /^[\w-]{22}$/

/** The first key marks, all recognise: replicas differ while the secret is rotated. */
export function createHopMarks(keyRings: KeyRings): (routeId: string) => HopMark {
  const ring = keyRings('loop detection')
  return (routeId) => {
    let keys: ReturnType<typeof ring.keys> | undefined
    let own: readonly string[] = []
    return {
      next(received) {
        if (keys !== ring.keys()) {
          keys = ring.keys()
          own = keys.map((key) => mac(key, routeId).slice(0, 22))
        }
        const [mark = ''] = own
        if (received === '') return mark
        // What is not a mark was written by somebody else and stops nothing.
        const hops = received
          .split(',')
          .map((hop) => hop.trim())
          .filter((hop) => MARK.test(hop))
        if (hops.length >= MAX_HOPS || hops.some((hop) => own.includes(hop))) {
          throw new AppError('ERR_LOOP', 'the request has been here before: an upstream leads back to Postern', {
            details: { hops: hops.length },
          })
        }
        return [...hops, mark].join(',')
      },
    }
  }
}
