/**
 * The `state` of a sign-in (RFC 6749 §10.12): unguessable, and it holds the address to return to, sealed. A cookie of the
 * browser says whose sign-in it is; without that cookie the state still says where the person wanted to go, and nothing else.
 */
import type { KeyRings } from '../lib/key-ring.ts'
import { formatDemand, parseDemand } from '../policy/demand.ts'
import type { SignInDemand } from '../types.ts'

export interface Wanted {
  readonly returnTo: URL
  /** Begun in place of a sign-in that this browser had forgotten. */
  readonly again: boolean
  readonly demand: SignInDemand
}

/** After a sign-out: where somebody else is to sign in. */
export interface NextSignIn {
  readonly returnTo: URL
  /** The provider still knows the person who left, and would sign them in again unasked. */
  readonly stillAtProvider: boolean
}

export interface States {
  seal(wanted: Wanted): string
  /** undefined: not one of ours. It may be old and used, and of any browser. */
  open(state: string): Wanted | undefined
  /** The `state` of a sign-out. */
  readonly afterSignOut: {
    seal(next: NextSignIn): string
    open(state: string): NextSignIn | undefined
  }
}

/** Tells what is sealed here from anything else. */
const CONTEXT = 'state'
const AFTER_SIGN_OUT = 'after sign-out'

export function createStates(keyRings: KeyRings): States {
  const ring = keyRings('state')
  return {
    afterSignOut: {
      seal: ({ returnTo, stillAtProvider }) => ring.seal((stillAtProvider ? '2' : '1') + returnTo.href, AFTER_SIGN_OUT),
      open(state) {
        const text = ring.open(state, AFTER_SIGN_OUT)
        return text === undefined
          ? undefined
          : { returnTo: new URL(text.slice(1)), stillAtProvider: text.startsWith('2') }
      },
    },
    // A URL has no space.
    seal: ({ returnTo, again, demand }) =>
      ring.seal(`${again ? '2' : '1'}${returnTo.href} ${formatDemand(demand)}`, CONTEXT),
    open(state) {
      const text = ring.open(state, CONTEXT)
      if (text === undefined) return undefined
      const [returnTo = '', written = '{}'] = text.slice(1).split(' ')
      const demand = parseDemand(written)
      return demand && { returnTo: new URL(returnTo), again: text.startsWith('2'), demand }
    },
  }
}
