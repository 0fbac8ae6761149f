import { find, type Program } from '../programs.ts'

/** Where a peer stands: between the browser and the same upstream, with the emulated Okta as its provider. */
export interface Place {
  readonly directory: string
  readonly port: number
  readonly upstream: number
  /** Issuer of the provider. */
  readonly okta: string
}

/** Another product that signs people in and asks for the group Engineering, or a proxy that does neither. */
export interface Peer {
  readonly name: string
  /** Programs and files that it consists of, each with how to get it. */
  readonly needs: Readonly<Record<string, string>>
  /** Its programs, and the flag that makes each tell its version. */
  readonly versionOf: readonly (readonly [program: string, flag: string])[]
  /** Path that the provider sends browsers back to; absent: the peer signs nobody in. */
  readonly callback?: string
  start(place: Place): Promise<Program>
}

/** In words, what a peer cannot be started without. */
export function lacks({ needs }: Peer): string | undefined {
  const missing = Object.entries(needs).filter(([program]) => find(program) === undefined)
  return missing.length === 0 ? undefined : missing.map(([program, how]) => `${program} (${how})`).join(', ')
}

/** The address that people use, as each peer is told. */
export const originOf = ({ port }: { readonly port: number }): string => `http://app.localhost:${port}`
