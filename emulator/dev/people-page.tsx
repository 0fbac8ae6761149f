import type { VNode } from 'preact'
import type { Org } from '../okta/model/org.ts'
import type { Person } from '../okta/model/types.ts'
import { AddForm, Toggle } from '../okta/pages/act.tsx'
import { Mark, page } from '../okta/pages/layout.tsx'

export interface PeopleView {
  readonly org: Org
  /** Without service accounts. */
  readonly people: readonly Person[]
  /** Whom the browser that asks signs in as. */
  readonly me: Person | undefined
  /** Origin of the application. */
  readonly app: string
  readonly refused?: string
}

/** Who the application sees, and whom else it could see. Plain forms, no script. */
export function peoplePage(view: PeopleView): string {
  const { me, app, people, refused } = view
  return page(
    'People',
    <main class="console">
      <header>
        <Mark size={44} />
        <div>
          <h1>{me ? `You are ${me.firstName} ${me.lastName}` : 'You are nobody yet'}</h1>
          <p class="soft">
            <a href={app}>{app}</a> {me ? `sees ${me.login}` : 'asks who you are'} in this browser. Nothing here is
            real, and nothing is saved.
          </p>
        </div>
      </header>
      {refused !== undefined && (
        <p class="alert" role="alert">
          {refused}
        </p>
      )}
      <section>
        <h2>Become somebody else</h2>
        <p class="soft small">
          You come back to the application as that person. A change of groups counts within seconds, without a sign-in.
        </p>
        <ul class="rows">
          {people.map((person) => (
            <Row person={person} view={view} key={person.id} />
          ))}
        </ul>
      </section>
      <section>
        <h2>Somebody new</h2>
        <form method="post" action="/become">
          <div class="adding">
            <p>
              <label for="login">E-mail address</label>
              <input id="login" name="login" type="email" required autocomplete="off" />
            </p>
            <p>
              <label for="groups">Groups, with commas</label>
              <input id="groups" name="groups" autocomplete="off" />
            </p>
          </div>
          <button class="primary">Become this person</button>
        </form>
        <div class="adding">
          <AddForm to="groups" name="name" label="Name of a new group" />
        </div>
      </section>
    </main>,
  )
}

function Row({ person, view: { org, me } }: { readonly person: Person; readonly view: PeopleView }): VNode {
  const mine = new Set(org.groupsOf(person.id).map(({ id }) => id))
  const groups = org.groups
    .ordered()
    .filter(({ type }) => type !== 'BUILT_IN')
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return (
    <li>
      <div>
        <h3>
          {person.firstName} {person.lastName}
        </h3>
        <p class="small">{person.login}</p>
      </div>
      <div class="status">
        {person.id === me?.id ? (
          <span class="pill ACTIVE">you</span>
        ) : (
          <form method="post" action="/become">
            <input type="hidden" name="login" value={person.login} />
            <button>Become {person.firstName}</button>
          </form>
        )}
        {person.status !== 'ACTIVE' && <span class="pill">{person.status}</span>}
      </div>
      <div class="chips">
        <span class="fixed">Everyone</span>
        {groups.map(({ id, name }) => {
          const member = mine.has(id)
          return (
            <Toggle
              to="memberships"
              fields={{ group: id, user: person.id, member: String(!member) }}
              on={member}
              name={name}
              verb={member ? 'Remove from' : 'Add to'}
              about={person.login}
              key={id}
            />
          )
        })}
      </div>
    </li>
  )
}
