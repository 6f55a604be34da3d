"""The paper's dimmer with its mixture density network, and its authors' own transform."""
