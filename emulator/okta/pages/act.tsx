import type { ComponentChildren, VNode } from 'preact'

/** A button that posts to the control API and comes back. Its name is `label`, with `about` for screen readers. */
export function Act(props: {
  readonly to: string
  readonly fields: Readonly<Record<string, string>>
  readonly label: ComponentChildren
  /** What the button is about, when its place on the page says so and its label does not. */
  readonly about?: string
  readonly class?: string
}): VNode {
  return (
    <form method="post" action={`/control/${props.to}`}>
      <input type="hidden" name="back" value="page" />
      {Object.entries(props.fields).map(([name, value]) => (
        <input type="hidden" name={name} value={value} key={name} />
      ))}
      <button class={props.class}>
        <span>
          {props.label}
          {props.about !== undefined && <span class="unseen">: {props.about}</span>}
        </span>
      </button>
    </form>
  )
}

/** A thing that is on or off: `Engineering ×` takes away, `+ Sales` adds. */
export function Toggle(props: {
  readonly to: string
  readonly fields: Readonly<Record<string, string>>
  readonly on: boolean
  readonly name: string
  /** What a click does, for those who do not see the sign: `Remove from`, `Add to`. */
  readonly verb: string
  readonly about: string
}): VNode {
  const { on, name, verb } = props
  return (
    <Act
      to={props.to}
      fields={props.fields}
      about={props.about}
      class={on ? 'on' : 'off'}
      label={
        <>
          {!on && <span aria-hidden="true">+ </span>}
          <span class="unseen">{verb} </span>
          {name}
          {on && <span aria-hidden="true"> ×</span>}
        </>
      }
    />
  )
}

/** One field and a button that adds its value. */
export function AddForm(props: { readonly to: string; readonly name: string; readonly label: string }): VNode {
  const id = `add-${props.to}`
  return (
    <form method="post" action={`/control/${props.to}`}>
      <input type="hidden" name="back" value="page" />
      <label for={id}>{props.label}</label>
      <div>
        <input id={id} name={props.name} required autocomplete="off" />
        <button>Add</button>
      </div>
    </form>
  )
}
