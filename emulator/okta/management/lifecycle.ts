import { json, type Reply } from '../http/call.ts'
import { OktaError } from '../http/okta-error.ts'
import type { Org } from '../model/org.ts'
import type { Person, PersonStatus } from '../model/types.ts'

interface Transition {
  /** Absent: from any status but the target. */
  readonly from?: readonly PersonStatus[]
  readonly to: PersonStatus
  readonly eventType: string
  /** The error when the person's status does not allow it. */
  readonly refuse: () => OktaError
}

const invalid =
  (action: string, cause: string): (() => OktaError) =>
  () =>
    new OktaError('E0000001', action, [cause])
const notNow = (): OktaError => new OktaError('E0000038')

/** `POST /api/v1/users/{id}/lifecycle/{action}` (okta-api.md#users). */
const TRANSITIONS: Readonly<Record<string, Transition>> = {
  activate: {
    from: ['STAGED', 'DEPROVISIONED', 'PROVISIONED'],
    to: 'ACTIVE',
    eventType: 'user.lifecycle.activate',
    refuse: () => new OktaError('E0000016'),
  },
  reactivate: {
    from: ['PROVISIONED', 'RECOVERY'],
    to: 'ACTIVE',
    eventType: 'user.lifecycle.reactivate',
    refuse: notNow,
  },
  deactivate: { to: 'DEPROVISIONED', eventType: 'user.lifecycle.deactivate', refuse: notNow },
  suspend: {
    from: ['ACTIVE'],
    to: 'SUSPENDED',
    eventType: 'user.lifecycle.suspend',
    refuse: invalid('suspend', 'Cannot suspend a user that is not active'),
  },
  unsuspend: {
    from: ['SUSPENDED'],
    to: 'ACTIVE',
    eventType: 'user.lifecycle.unsuspend',
    refuse: invalid('unsuspend', 'Cannot unsuspend a user that is not suspended'),
  },
  unlock: { from: ['LOCKED_OUT'], to: 'ACTIVE', eventType: 'user.account.unlock', refuse: notNow },
  expire_password: {
    from: ['ACTIVE'],
    to: 'PASSWORD_EXPIRED',
    eventType: 'user.account.expire_password',
    refuse: notNow,
  },
}

/** @throws OktaError E0000008 for an unknown action, and what the action says when the status does not allow it. */
export function lifecycle(org: Org, person: Person, action: string): Reply {
  const transition = Object.hasOwn(TRANSITIONS, action) ? TRANSITIONS[action] : undefined
  if (!transition) throw new OktaError('E0000008')
  const allowed = transition.from ? transition.from.includes(person.status) : person.status !== transition.to
  if (!allowed) throw transition.refuse()
  org.setStatus(person.id, transition.to, transition.eventType)
  return json(200, {})
}

/** The event that a status set by hand would have had. */
export function eventFor(status: PersonStatus, before: PersonStatus): string {
  if (status === 'LOCKED_OUT') return 'user.account.lock'
  const transition = Object.values(TRANSITIONS).find(
    (candidate) => candidate.to === status && (!candidate.from || candidate.from.includes(before)),
  )
  return transition?.eventType ?? 'user.account.update_profile'
}
