import type { Fixed, Live } from '../../config/model.ts'
import type { Directory } from '../../directory/model.ts'
import type { Authenticator } from '../../http/exchange.ts'
import { bearerToken, isOurAuthorization } from '../../lib/bearer.ts'
import { serviceTokenIn } from '../../lib/service-token.ts'
import { sha256 } from '../../lib/crypto.ts'
import { personKey } from '../../lib/person.ts'
import { createMembership, programMembership } from '../../policy/membership.ts'
import type { Asker, TokenPrincipal } from '../../policy/model.ts'
import type { PersonKey, WallTime } from '../../types.ts'
import { groupsFromClaims, isClaimAbsent } from '../claims.ts'
import type { Reading, TokenReader } from './reader.ts'

const SOURCE = 'token'

export interface BearerAuthenticatorDeps {
  readonly reader: TokenReader
  readonly directory: Pick<Directory, 'membership' | 'status' | 'refresh'>
  readonly fixed: Pick<Fixed, 'idps'>
  readonly live: Pick<Live, 'groupsClaim' | 'groupsClaimAbsent'>
}

/** Whoever shows a token of somebody else, on routes that take such tokens (`bearer_token_format`). */
export function createBearerAuthenticator(deps: BearerAuthenticatorDeps): Authenticator {
  const { reader, directory, fixed, live } = deps
  const { groupsClaim, groupsClaimAbsent } = live
  /** Whose people a directory knows; tokens of the others say what groups they have. */
  const sources = new Map(
    fixed.idps.flatMap(({ name, directory: source }) => (source.kind === 'claims' ? [] : [[name, source] as const])),
  )

  /** People whose first reading is under way. */
  const reading = new Map<PersonKey, Promise<unknown>>()

  function askerOf(read: Reading, token: string, passAuthorization: boolean, now: WallTime): Asker {
    if ('refused' in read) return { kind: 'bad-token', error: 'invalid_token', detail: `token: ${read.refused}` }
    const { identity, account, scopes, expiresAt, provider } = read
    const person = personKey(identity)
    const principal = {
      kind: 'token',
      tokenId: sha256(`log:${token}`).slice(0, 12),
      person,
      identity,
      scopes,
      expiresAt,
      ...(account !== undefined && { account }),
      ...(!passAuthorization && { consumed: true as const }),
    } as const
    if (account !== undefined) {
      const membership = programMembership(read.groups ?? [], SOURCE)
      return { ...principal, membership, status: 'active', groupsFrom: 'token' } satisfies TokenPrincipal
    }
    if (provider && sources.has(provider.name)) {
      const membership = directory.membership(person)
      return { ...principal, membership, status: directory.status(person), groupsFrom: 'directory' }
    }
    const none = groupsClaimAbsent === 'none' && isClaimAbsent(identity.claims, groupsClaim)
    const groups = none ? [] : groupsFromClaims(identity.claims, groupsClaim)
    const membership = groups ? createMembership(groups, now, SOURCE) : 'unknown'
    return { ...principal, membership, status: 'active', groupsFrom: 'token' } satisfies TokenPrincipal
  }

  /** Somebody who never signed in here is read first: otherwise the first answer would be 503. */
  function readPerson(read: Reading): Promise<unknown> | undefined {
    if ('refused' in read || read.account !== undefined) return undefined
    const source = sources.get(read.provider?.name ?? '')
    const person = personKey(read.identity)
    if (!source || directory.membership(person) !== 'unknown') return undefined
    const signal = AbortSignal.timeout(source.signInTimeout)
    const flight = directory.refresh(person, signal).finally(() => reading.delete(person))
    reading.set(person, flight)
    return flight
  }

  return {
    identify({ authorization, clientIp }, { bearer, demand }, now) {
      // Tokens of our own are nobody else's to see.
      if (!bearer || authorization === undefined || isOurAuthorization(authorization)) return undefined
      if (serviceTokenIn(authorization) !== undefined) return undefined
      const token = bearerToken(authorization)
      if (token === undefined) return undefined
      const read = reader.read(token, { bearer, providers: demand?.providers, clientIp, now })
      const asker = (found: Reading): Asker => askerOf(found, token, bearer.passAuthorization, now)
      if (read instanceof Promise) {
        return read.then(async (found) => {
          await readPerson(found)
          return asker(found)
        })
      }
      // A token that was seen before waits for that reading, and begins none: a directory that is down slows nobody.
      const flight = reading.size > 0 && !('refused' in read) ? reading.get(personKey(read.identity)) : undefined
      return flight ? flight.then(() => asker(read)) : asker(read)
    },
  }
}
