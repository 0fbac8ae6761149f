import type { Command, Help, Option } from 'commander'

/** A place on the command line, after the words of a command, and what may be written there. */
export interface Place {
  /** `postern sessions list`. */
  readonly path: string
  readonly description: string
  readonly commands: readonly Word[]
  readonly options: readonly CompletedOption[]
  /** What stands beside the options. */
  readonly argument: Value
}

export interface Word {
  readonly name: string
  readonly description: string
}

export interface CompletedOption {
  /** `-c`, `--config`. */
  readonly flags: readonly string[]
  readonly description: string
  readonly value: Value
}

/** What is completed: nothing follows, one of a few words, a file, or something that only the person knows. */
export type Value =
  | { readonly kind: 'none' }
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  /** `name`: what stands between the brackets. */
  | { readonly kind: 'file' | 'text'; readonly name: string }

/** Every place of a program, itself first: what the scripts of all shells are made of. */
export function placesOf(command: Command, before: readonly string[] = []): readonly Place[] {
  const words = [...before, command.name()]
  const help = command.createHelp()
  const visible = help.visibleCommands(command)
  const place: Place = {
    path: words.join(' '),
    description: command.description(),
    commands: visible.map((child) => ({ name: child.name(), description: child.description() })),
    options: help.visibleOptions(command).map((option) => completedOption(option, help)),
    argument: argumentOf(command),
  }
  return [
    place,
    ...command.commands.filter((child) => visible.includes(child)).flatMap((child) => placesOf(child, words)),
  ]
}

/** Files are known by the placeholder: `<file>`, `[file]`. */
const FILES = new Set(['file', 'tests', 'log'])

function completedOption(option: Option, help: Help): CompletedOption {
  return {
    flags: [option.short, option.long].filter((flag) => typeof flag === 'string'),
    description: help.optionDescription(option),
    value: valueOf(option),
  }
}

function valueOf({ flags, argChoices, required, optional }: Option): Value {
  if (!required && !optional) return { kind: 'none' }
  if (argChoices) return { kind: 'choices', choices: argChoices }
  return named(/[<[]([\w-]+)/.exec(flags)?.[1] ?? 'value')
}

/** Of the first argument: no command takes another one that can be completed. */
function argumentOf({ registeredArguments: [first] }: Command): Value {
  if (!first) return { kind: 'none' }
  if (first.argChoices) return { kind: 'choices', choices: first.argChoices }
  return named(first.name())
}

function named(name: string): Value {
  return { kind: FILES.has(name) ? 'file' : 'text', name }
}

/** A text in the quotes of a shell, in which nothing but the quote itself means anything. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
