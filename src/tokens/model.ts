/** Tokens that Postern gives to programs. Types only. */
import type { Span, Unsubscribe, WallTime } from '../types.ts'

/** What is kept of a token: everything but the token. */
export interface ServiceToken {
  /** 12 hex digits: names it in lists and logs, and opens nothing. */
  readonly id: string
  /** What operators call whoever has it. Several tokens may have one name: the old and the new one of a rotation. */
  readonly account: string
  readonly createdAt: WallTime
  readonly expiresAt: WallTime
  /** Names or hosts of routes; empty: every route that takes service tokens. */
  readonly routes: readonly string[]
  /** Upper case; empty: every method. `GET` includes `HEAD`. */
  readonly methods: readonly string[]
  /** Names or ids, as rules write them. */
  readonly groups: readonly string[]
}

export interface ListedServiceToken extends ServiceToken {
  /** Within a quarter of an hour; undefined: never. */
  readonly lastUsedAt: WallTime | undefined
}

export interface ServiceTokens {
  /** undefined: no such token, or it has ended. A promise when the store must be asked; only a technical fault rejects. */
  find(token: string, now: WallTime): ServiceToken | undefined | Promise<ServiceToken | undefined>
  /** Somebody has come in by it. */
  used(token: ServiceToken): void
  /** The token itself is told here, and never again. */
  create(
    wanted: Pick<ServiceToken, 'account' | 'routes' | 'methods' | 'groups'> & { readonly lifetime: Span },
  ): Promise<{ readonly token: string; readonly record: ServiceToken }>
  /** Those that have not ended, newest first. */
  list(): Promise<readonly ListedServiceToken[]>
  /** undefined: there is none with this id. */
  revoke(id: string): Promise<ServiceToken | undefined>
  /** The id that a token has, or would have. */
  idOf(token: string): string
  /** Tokens that were revoked anywhere, by id. */
  onEnd(listener: (id: string) => void): Unsubscribe
  close(): void
}
