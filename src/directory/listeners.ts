import type { FaultLog } from '../lib/fault-tally.ts'
import type { Issuer } from '../lib/person.ts'
import type { PersonKey, Subject, Unsubscribe, WallTime } from '../types.ts'
import type { UserStatus } from './model.ts'

export type ChangeListener = (person: PersonKey, status: UserStatus | 'unknown') => void

/** Resolves when the end is durable. */
export type SessionsEndListener = (person: PersonKey, before: WallTime) => void | Promise<void>

/** Who is told of what the directory learns. Inside, people go by their subject; listeners know them by their key. */
export interface Listeners {
  onChange(listener: ChangeListener): Unsubscribe
  onSessionsEnd(listener: SessionsEndListener): Unsubscribe
  /** A listener that throws does not keep the others from hearing of it. */
  announce(user: Subject, status: UserStatus | 'unknown'): void
  endSessions(user: Subject, before: WallTime): Promise<void>
  /** Never rejects: whoever is inactive is refused, session or not. */
  endSessionsQuietly(user: Subject, before: WallTime): Promise<void>
}

export function createListeners({ issuer, tell }: { readonly issuer: Issuer; readonly tell: FaultLog }): Listeners {
  const changeListeners = new Set<ChangeListener>()
  const endListeners = new Set<SessionsEndListener>()

  async function endSessions(user: Subject, before: WallTime): Promise<void> {
    for (const listener of endListeners) await listener(issuer.person(user), before)
  }

  return {
    endSessions,

    onChange(listener) {
      changeListeners.add(listener)
      return () => changeListeners.delete(listener)
    },

    onSessionsEnd(listener) {
      endListeners.add(listener)
      return () => endListeners.delete(listener)
    },

    announce(user, status) {
      for (const listener of changeListeners) {
        try {
          listener(issuer.person(user), status)
        } catch (error) {
          tell(error, 'a listener to directory changes failed', { user_id: user })
        }
      }
    },

    async endSessionsQuietly(user, before) {
      try {
        await endSessions(user, before)
      } catch (error) {
        tell(error, 'sessions of an inactive account could not be ended', { user_id: user })
      }
    },
  }
}
