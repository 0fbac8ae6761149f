import { spawnSync } from 'node:child_process'
import { answering, ask, find, freePort } from '../programs.ts'
import type { Target } from '../rounds.ts'
import { signIn } from '../signed-in.ts'
import { apache } from './apache.ts'
import { caddyForwardAuth } from './caddy.ts'
import { envoy } from './envoy.ts'
import { haproxy } from './haproxy.ts'
import { nginxAuthRequest } from './nginx-auth-request.ts'
import { oauth2Proxy } from './oauth2-proxy.ts'
import { lacks, originOf, type Peer, type Place } from './peer.ts'

const PEERS: readonly Peer[] = [haproxy, envoy, apache, nginxAuthRequest, oauth2Proxy, caddyForwardAuth]

/** A peer that is installed, with a port of its own. */
export interface PlacedPeer {
  readonly peer: Peer
  readonly port: number
  /** Redirect URI that the provider must know. */
  readonly redirectUri: string | undefined
}

/** Those that are installed; `leave` is told of the others. */
export async function placePeers(leave: (what: string) => void): Promise<readonly PlacedPeer[]> {
  const placed: PlacedPeer[] = []
  for (const peer of PEERS) {
    const missing = lacks(peer)
    if (missing !== undefined) {
      leave(`${peer.name}: no ${missing}`)
      continue
    }
    const port = await freePort()
    placed.push({ peer, port, redirectUri: peer.callback && `${originOf({ port })}${peer.callback}` })
  }
  return placed
}

/** Starts a peer and signs alice in through it, as a browser; throws when it lets in anybody else. */
export async function startPeer({ peer, port }: PlacedPeer, place: Omit<Place, 'port'>): Promise<Target> {
  const program = await peer.start({ ...place, port })
  await answering(port)
  const application = new URL(originOf({ port }))
  const target = { name: peer.name, program, port, closes: true }
  const host = { Host: application.host }
  if (peer.callback === undefined) return { ...target, headers: host }
  const headersOf = async (login: string): Promise<Readonly<Record<string, string>>> => {
    const cookies = await signIn([application], place.okta, login)
    return { ...host, Cookie: cookies.get(application) ?? '' }
  }
  for (const headers of [host, await headersOf('bob@example.com')]) {
    const { status } = await ask(port, '/', headers)
    if (status === 200) throw new Error(`${peer.name} lets in who is not in Engineering`)
  }
  return { ...target, headers: await headersOf('alice@example.com') }
}

/** What the installed products call themselves, by program. */
export function versions(): Readonly<Record<string, string>> {
  const asked = [...PEERS.flatMap(({ versionOf }) => versionOf), ['nginx', '-v'], ['wrk', '-v']] as const
  const known: Record<string, string> = {}
  for (const [program, flag] of asked) {
    const file = find(program)
    if (file === undefined) continue
    const { stdout, stderr } = spawnSync(file, [flag], { encoding: 'utf8', timeout: 10_000 })
    const version = /(?:^|[\s/v])(\d+\.\d+\.\d+)/.exec(stdout + stderr)?.[1]
    if (version !== undefined) known[program] = version
  }
  return known
}
