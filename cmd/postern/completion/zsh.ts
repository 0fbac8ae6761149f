import { type Place, quoted, type Value, type Word } from './places.ts'

/** For a file `_postern` in a folder of `fpath`, or for `source <(postern completion zsh)` after `compinit`. */
export function zshCompletion(places: readonly Place[]): string {
  const paths = places.slice(1).map(({ path }) => quoted(path))
  return `#compdef postern
# zsh completion of postern. In ~/.zshrc, after compinit: source <(postern completion zsh)
_postern() {
  local at=postern word files=''
  local -a offered flags choices
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
      (${paths.join('|')}) at="$at $word" ;;
    esac
  done
  case "$at:\${words[CURRENT-1]}" in
${places.flatMap(valueCases).join('\n')}
    (*)
      case "$at" in
${places.map(placeCase).join('\n')}
      esac
      ;;
  esac
  (( \${#choices} )) && compadd -a choices
  (( \${#offered} )) && _describe command offered
  (( \${#flags} )) && _describe -o option flags
  [[ -n $files ]] && _files
  return 0
}
if [[ \${funcstack[1]} == _postern ]]; then _postern "$@"; else compdef _postern postern; fi
`
}

function valueCases({ path, options }: Place): readonly string[] {
  return options
    .filter(({ value }) => value.kind !== 'none')
    .map(({ flags, value }) => `    (${flags.map((flag) => quoted(`${path}:${flag}`)).join('|')}) ${set(value)} ;;`)
}

function placeCase({ path, commands, options, argument }: Place): string {
  const words = options.flatMap(({ flags, description }) => flags.map((name) => ({ name, description })))
  return `        (${quoted(path)}) offered=(${described(commands)}) flags=(${described(words)}) ${set(argument)} ;;`
}

/** As `_describe` wants it. */
function described(words: readonly Word[]): string {
  return words.map(({ name, description }) => quoted(`${name}:${description}`)).join(' ')
}

function set(value: Value): string {
  if (value.kind === 'choices') return `choices=(${value.choices.join(' ')})`
  return value.kind === 'file' ? 'files=yes' : ''
}
