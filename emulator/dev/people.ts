import type { DevProviderOptions } from '../../cmd/postern/dev/provider.ts'
import type { Control } from '../okta/control.ts'
import { type Call, form, html, redirect, type Reply } from '../okta/http/call.ts'
import type { Endpoint } from '../okta/http/router.ts'
import type { Person } from '../okta/model/types.ts'
import type { BrowserIdentities } from '../okta/browser-identities.ts'
import { choose, chosenBy } from './identity.ts'
import { peoplePage } from './people-page.tsx'

export interface PeopleOptions {
  readonly origins: DevProviderOptions['origins']
  /** Login of whoever has not chosen. */
  readonly as: string
  readonly clientId: string
  /** Login of the service account, which is nobody to become. */
  readonly service: string
}

/** The page where a browser becomes somebody else; each has an identity of its own. */
export function createPeople({ origins, as, clientId, service }: PeopleOptions) {
  const identities: BrowserIdentities = {
    signInAs: (cookie) => (chosenBy(cookie) ?? as) || undefined,
    remember: choose,
  }

  function endpoints(control: () => Control): readonly Endpoint[] {
    const show = (call: Call, refused?: string): string => {
      const { org } = control()
      const people = org.people.ordered().filter(({ login }) => login !== service)
      const me = org.findPerson(identities.signInAs(call.req.headers.cookie) ?? '')
      return peoplePage({ org, people, me, app: origins.app, ...(refused !== undefined && { refused }) })
    }

    async function become(call: Call): Promise<Reply> {
      // A page of another site, or the application's own, must not decide who somebody is.
      if (call.req.headers.origin !== origins.people) return html(403, show(call, 'That form was not of this page.'))
      const fields = await form(call)
      const login = fields.get('login')?.trim() ?? ''
      if (!/^[^@\s]+@[^@\s]+$/.test(login)) return html(400, show(call, 'Expected an e-mail address.'))
      const person = control().org.findPerson(login) ?? control().addUser({ login })
      const groups = fields.get('groups')
      if (groups !== null) setGroups(control(), person, groups)
      await signOutEverybody(control())
      return redirect(origins.app, 303, { 'set-cookie': choose(person.login) })
    }

    return [
      { method: 'GET', path: '/', kind: 'own', handle: (call) => html(200, show(call)) },
      { method: 'POST', path: '/become', kind: 'own', handle: become },
    ]
  }

  /** As Okta's Universal Logout. Browsers that are somebody else still sign in again without noticing. */
  async function signOutEverybody({ org, signals }: Control): Promise<void> {
    const endpoint = `${origins.authenticate}/.postern/universal_logout`
    await Promise.all(
      org.people.ordered().map((person) => signals.universalLogout(person, { endpoint, clientId, format: 'iss_sub' })),
    )
  }

  return { identities, endpoints }
}

/** Exactly these; what does not exist yet is made. */
function setGroups(control: Control, { id }: Person, text: string): void {
  const wanted = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
  for (const { name, type } of control.org.groupsOf(id)) {
    if (type !== 'BUILT_IN' && !wanted.includes(name)) control.removeMember(name, id)
  }
  for (const name of wanted) {
    if (!control.org.findGroup(name)) control.addGroup(name)
    control.addMember(name, id)
  }
}
