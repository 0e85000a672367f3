// One of a few: native radio buttons in a fieldset.

/**
 * @template {string | number | boolean} T
 * @param {{legend: string, name: string, options: [T, string][], value: T, disabled?: boolean, onChange: (value: T) => void}} props
 *   name: unique in the page, as `${figure}-mode`
 */
export function Choice({ legend, name, options, value, disabled, onChange }) {
  return (
    <fieldset class="gn-choice" disabled={disabled}>
      <legend>{legend}</legend>
      {options.map(([option, label]) => (
        <label key={label}>
          <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} /> {label}
        </label>
      ))}
    </fieldset>
  );
}
